"""A simpler base class for CA modules whose CA signs a request at once: only one method is required."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Generic

from attrs import fields, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.errors import CAError, CertCoreError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.hints import Hint
from certcore.model.issuance import Issuance
from certcore.model.names import DnsName
from certcore.model.plugin_results import UnexpectedResultError, with_article
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.stored_messages import message_document, plain_message, read_message
from certcore.model.usual_hints import usual_hints
from certcore.model.views import CertificateView
from certcore.model.waiting_for import WaitingFor
from certcore.ports.ca_module import (
    AnyAuthoritySettings,
    AnyCertificateSettings,
    AuthoritySettings,
    CAModule,
    CertificateSettings,
    Failed,
    Issued,
    ModuleContext,
    StepResult,
    Waiting,
    Work,
)

__all__ = ["SignedChain", "SigningCA", "SigningContext", "SigningPendingError", "SigningRefusedError"]

#: How far `SigningContext.validity` dates a leaf back, for clients whose clock is behind.
_DATED_BACK: Final = timedelta(hours=1)
#: The pause before `SigningCA.sign` is called again, by default.
_LOOK_AGAIN: Final = timedelta(minutes=5)
_REFUSED: Final = "urn:certcore:signing-refused"

#: The result of `SigningCA.sign`: the leaf and its intermediates in any order, with or without the root, as PEM or as
#: objects.
SignedChain = str | x509.Certificate | Sequence[x509.Certificate]


class SigningPendingError(CertCoreError):
    """Raised by `SigningCA.sign` if the CA has not signed yet. `sign` is called again later.

    Args:
        message: What the CA waits for, as a whole sentence for the owner of the certificate, shown on its page.
        look_again: When to call again: a moment with its time zone, or a duration from now.
        waiting_for: Whom the CA waits for. It decides between the status pending and processing.
        state: The value of `SigningContext.state` in the next call, plain JSON without secrets, for example the ID of
            the request at the CA. None keeps the state.
    """

    code = "signing_pending"
    http_status = 503

    def __init__(
        self,
        message: str | Message,
        *,
        look_again: datetime | timedelta = _LOOK_AGAIN,
        waiting_for: WaitingFor = WaitingFor.AUTHORITY,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.look_again = look_again
        self.waiting_for = waiting_for
        self.state = state


class SigningRefusedError(CertCoreError):
    """Raised by `SigningCA.sign` if the CA refuses the request permanently.

    Args:
        message: The reason, as a whole sentence for the owner of the certificate, shown on its page.
        advice: What the owner can do about it.
        of_authority: True if the reason lies with the CA, not with the names or their owner. A certificate with
            fallbacks then moves to the next CA profile.
    """

    code = "signing_refused"
    http_status = 422

    def __init__(self, message: str | Message, *, advice: str | Message = "", of_authority: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.of_authority = of_authority


@frozen(kw_only=True)
class SigningContext(ModuleContext[AnyAuthoritySettings], Generic[AnyAuthoritySettings, AnyCertificateSettings]):
    """The argument of `SigningCA.sign`. ``SigningContext[MyProfile, NoSettings]`` has ``profile: MyProfile``.

    ``documents`` is the module's store, with `Documents.seal` and `Documents.unseal` for secrets; ``environment`` has
    the clock; ``owner`` is the tenant.
    """

    #: The names to sign for; `DnsName.ascii` gives A-labels. The CSR contains exactly these names.
    names: tuple[DnsName, ...]
    #: The certificate's settings for the module, an instance of the module's ``certificate_type``.
    settings: AnyCertificateSettings
    #: The certificate.
    certificate: Certificate
    #: The issuance under way. Its ``id`` is the same in every call for one CSR. Use it as the ID of the request, so
    #: that a repeated call after a crash gets the leaf that is already signed.
    issuance: Issuance
    #: The issuance whose leaf is in service, which this one will replace; None if there is none.
    active: Issuance | None = None

    @property
    def now(self) -> datetime:
        """The present moment, UTC."""
        return self.environment.now()

    @property
    def state(self) -> Mapping[str, Any]:
        """The state of the last `SigningPendingError`; empty in the first call."""
        return self.issuance.module_state or {}

    def validity(self, lifetime: timedelta, *, not_after: datetime | None = None) -> tuple[datetime, datetime]:
        """The notBefore and notAfter of a leaf that is signed now (RFC 5280 section 4.1.2.5).

        Args:
            lifetime: How long the leaf is valid from now on.
            not_after: The latest possible end, for example that of the CA's own certificate; None for no limit.

        Returns:
            The beginning, one hour ago for clients whose clock is behind, and the end; both UTC, in whole seconds.
        """
        now = self.now.replace(microsecond=0)
        end = now + lifetime
        return now - _DATED_BACK, end if not_after is None else min(end, not_after.replace(microsecond=0))


class SigningCA(CAModule[AuthoritySettings, CertificateSettings], Generic[AuthoritySettings, CertificateSettings]):
    """The base class of CA modules whose CA signs a request at once. Only `sign` is required.

    ::

        class HouseCA(SigningCA[HouseProfile, NoSettings]):
            name = "house"
            title = "House CA"

            def sign(self, csr, context):
                key, root = self._load(context)
                not_before, not_after = context.validity(timedelta(days=context.profile.days))
                names = x509.SubjectAlternativeName([x509.DNSName(name.ascii) for name in context.names])
                leaf = (
                    x509.CertificateBuilder()
                    .subject_name(csr.subject)
                    .issuer_name(root.subject)
                    .public_key(csr.public_key())
                    .serial_number(x509.random_serial_number())
                    .not_valid_before(not_before)
                    .not_valid_after(not_after)
                    .add_extension(names, critical=False)
                    .sign(key, hashes.SHA256())
                )
                return [leaf, root]

    The other methods and the optional powers (`SupportsRevocation` and so on) are those of `CAModule`. For a CA that
    needs several steps, for example orders and validations, use `CAModule` and its ``advance``.
    """

    @abstractmethod
    def sign(
        self, csr: x509.CertificateSigningRequest, context: SigningContext[AuthoritySettings, CertificateSettings]
    ) -> SignedChain:
        """Sign a request, or have it signed with one exchange with the CA.

        MUST NOT sleep or poll: raise `SigningPendingError` instead. After a crash it is called again for the same
        issuance, which MUST be harmless. certcore checks the key, names, validity and signatures of the result.

        Args:
            csr: The request (RFC 2986). Its signature and its names were checked.
            context: The names, the settings, the store and the clock.

        Returns:
            The leaf and its intermediates.

        Raises:
            SigningPendingError: The request is not signed yet. `sign` is called again.
            SigningRefusedError: The request will not be signed.
            CAError: The CA is down or refuses temporarily. `sign` is called again after a growing pause, or after the
                error's ``retry_after`` in seconds.
        """

    def advance(self, work: Work[AuthoritySettings, CertificateSettings]) -> StepResult:
        """Call `sign` once."""
        csr = x509.load_pem_x509_csr(work.issuance.csr_pem.encode())
        state = dict(work.state or {})
        try:
            chain = self.sign(csr, _context(work))
        except SigningPendingError as pending:
            return _waiting(pending, state, work.environment.now())
        except SigningRefusedError as refusal:
            problem = Problem(type=_REFUSED, title=refusal.text, advice=refusal.advice_text)
            return Failed(state=state, problem=problem, retry=Retry.NEVER, of_authority=refusal.of_authority)
        except CAError as error:
            return _failed(error, state, work.environment.now())
        return Issued(state=state, chain_pem=_pem(chain))

    def hints(self, view: CertificateView, context: ModuleContext[AuthoritySettings]) -> Sequence[Hint]:
        """The state of the certificate, with the message of the last `SigningPendingError`."""
        findings = None if view.issuance is None else view.issuance.findings
        return usual_hints(view, self.title, waits=read_message((findings or {}).get("waits")))


def _context(
    work: Work[AnyAuthoritySettings, AnyCertificateSettings],
) -> SigningContext[AnyAuthoritySettings, AnyCertificateSettings]:
    return SigningContext(
        **{field.name: getattr(work, field.name) for field in fields(ModuleContext)},
        names=work.issuance.names,
        settings=work.settings,
        certificate=work.certificate,
        issuance=work.issuance,
        active=work.active,
    )


def _waiting(pending: SigningPendingError, state: Mapping[str, Any], now: datetime) -> Waiting:
    look_again = pending.look_again
    return Waiting(
        state=state if pending.state is None else pending.state,
        look_again=now + look_again if isinstance(look_again, timedelta) else look_again,
        waiting_for=pending.waiting_for,
        findings={"waits": message_document(plain_message(pending.text))},
    )


def _failed(error: CAError, state: Mapping[str, Any], now: datetime) -> Failed:
    problem = Problem(type=error.problem_type, title=error.text, detail=error.detail, advice=error.advice_text)
    retry_at = None if error.retry_after is None else now + timedelta(seconds=error.retry_after)
    return Failed(state=state, problem=problem, retry=Retry.SOON, retry_at=retry_at, of_authority=True)


def _pem(chain: object) -> str:
    """Convert the result of `SigningCA.sign` to PEM.

    Raises:
        UnexpectedResultError: It is not a `SignedChain`.
    """
    if isinstance(chain, str):
        return chain
    certificates: list[Any] = list(chain) if isinstance(chain, list | tuple) else [chain]
    if not all(isinstance(certificate, x509.Certificate) for certificate in certificates):
        raise UnexpectedResultError(f"{with_article(chain)} from sign, where PEM text or certificates belong")
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)
