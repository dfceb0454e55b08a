"""The short form of a CA module: a CA that signs when it is asked, and needs one method."""

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

#: How long a leaf is dated back by `SigningContext.validity`, for clients whose clock is behind.
_DATED_BACK: Final = timedelta(hours=1)
#: When `SigningCA.sign` is called again where the CA did not say.
_LOOK_AGAIN: Final = timedelta(minutes=5)
_REFUSED: Final = "urn:certcore:signing-refused"

#: What `SigningCA.sign` returns: the leaf and its intermediates in any order, the root or not; as PEM, or as objects.
SignedChain = str | x509.Certificate | Sequence[x509.Certificate]


class SigningPendingError(CertCoreError):
    """Raised by `SigningCA.sign`: the CA has not signed yet, and `sign` is to be called again.

    Args:
        message: What it waits for, for the owner of the certificate: a whole sentence, shown on its page.
        look_again: When to call again: a moment with a time zone, or a duration from now.
        waiting_for: Whom it waits for; decides between the status pending and processing.
        state: What the next call gets as `SigningContext.state`, plain JSON without secrets: the ID of the request at
            the CA, say. None keeps the state as it is.
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
    """Raised by `SigningCA.sign`: the CA does not sign this request, and asking again does not help.

    Args:
        message: Why, for the owner of the certificate: a whole sentence, shown on its page.
        advice: What the owner can do about it.
        of_authority: True when the reason is the CA's own, and not the names or their owner: a certificate with
            fallbacks then moves to the next CA profile.
    """

    code = "signing_refused"
    http_status = 422

    def __init__(self, message: str | Message, *, advice: str | Message = "", of_authority: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.of_authority = of_authority


@frozen(kw_only=True)
class SigningContext(ModuleContext[AnyAuthoritySettings], Generic[AnyAuthoritySettings, AnyCertificateSettings]):
    """What `SigningCA.sign` gets beside the CSR; ``SigningContext[MyProfile, NoSettings]`` has ``profile: MyProfile``.

    ``documents`` is the module's store, with `Documents.seal` and `Documents.unseal` for secrets; ``environment`` is
    the clock; ``owner`` the tenant.
    """

    #: The names to sign for, as A-labels with `DnsName.ascii`. The CSR asks for exactly these.
    names: tuple[DnsName, ...]
    #: The certificate's own settings, an instance of the module's ``certificate_type``.
    settings: AnyCertificateSettings
    certificate: Certificate
    #: The issuance under way. Its ``id`` is the same in every call for one CSR: use it as the ID of the request, so
    #: that a call which is repeated after a crash gets the leaf that is signed already.
    issuance: Issuance
    #: The issuance whose leaf is in service, which this one will replace; None without one.
    active: Issuance | None = None

    @property
    def now(self) -> datetime:
        """The present moment by certcore's clock, UTC."""
        return self.environment.now()

    @property
    def state(self) -> Mapping[str, Any]:
        """What the last `SigningPendingError` left; empty at the first call."""
        return self.issuance.module_state or {}

    def validity(self, lifetime: timedelta, *, not_after: datetime | None = None) -> tuple[datetime, datetime]:
        """The notBefore and notAfter of a leaf that is signed now (RFC 5280 section 4.1.2.5).

        Args:
            lifetime: How long the leaf serves from now on.
            not_after: The latest end, such as that of the CA's own certificate; None for no limit.

        Returns:
            An hour ago, for clients whose clock is behind, and the end; both in whole seconds.
        """
        now = self.now.replace(microsecond=0)
        end = now + lifetime
        return now - _DATED_BACK, end if not_after is None else min(end, not_after.replace(microsecond=0))


class SigningCA(CAModule[AuthoritySettings, CertificateSettings], Generic[AuthoritySettings, CertificateSettings]):
    """A CA module whose CA signs when it is asked: one method to write.

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

    It has the other methods of `CAModule`, and may have its powers (`SupportsRevocation` and so on). What a CA needs
    several steps for, orders and validations say, is written with `CAModule` and its ``advance``.
    """

    @abstractmethod
    def sign(
        self, csr: x509.CertificateSigningRequest, context: SigningContext[AuthoritySettings, CertificateSettings]
    ) -> SignedChain:
        """Sign a request, or have it signed by one exchange with the CA.

        MUST NOT sleep or poll: raise `SigningPendingError` instead. After a crash it is called again for the same
        issuance; that MUST do no harm. certcore checks key, names, validity and signatures of what it returns.

        Args:
            csr: The request (RFC 2986); its signature and its names were checked.
            context: The names, the settings, the store, the clock.

        Returns:
            The leaf and its intermediates.

        Raises:
            SigningPendingError: Not signed yet; it is called again.
            SigningRefusedError: It will not be signed.
            CAError: The CA is down or refuses for now; it is called again after a growing pause, or after the error's
                ``retry_after``.
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
        """The state of the certificate, with the words of the last `SigningPendingError`."""
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
    """A chain as PEM.

    Raises:
        UnexpectedResultError: It is something else.
    """
    if isinstance(chain, str):
        return chain
    certificates: list[Any] = list(chain) if isinstance(chain, list | tuple) else [chain]
    if not all(isinstance(certificate, x509.Certificate) for certificate in certificates):
        raise UnexpectedResultError(f"{with_article(chain)} from sign, where PEM text or certificates belong")
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)
