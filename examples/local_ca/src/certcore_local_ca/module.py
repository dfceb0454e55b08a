"""The CA module: signs at once, revokes, provides root and CRL, and replaces its issuing CA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from certcore.hints import Fact, Facts, Hint, Level, Message, Notice
from certcore.plugin import (
    CAError,
    CertificateView,
    CheckItem,
    CheckReport,
    DnsName,
    InvalidInputError,
    Issuance,
    ModuleContext,
    ModuleFile,
    NoSettings,
    ProfileAction,
    Purpose,
    RevocationReason,
    Secret,
    SigningCA,
    SigningContext,
    SigningRefusedError,
    SuggestedWindow,
    SupportsActions,
    SupportsCheck,
    SupportsFiles,
    SupportsRenewalInfo,
    SupportsRevocation,
    form,
)
from certcore_local_ca.issuers import MOST_ISSUERS, ROOT, Issuer, Issuers
from certcore_local_ca.leaves import LeafUsage, Publication, UnsuitableRequestError, make_leaf
from certcore_local_ca.name_constraints import NameConstraints
from certcore_local_ca.revocations import Revocations
from certcore_local_ca.settings import LocalCAProfile, check_settings

__all__ = ["Distrust", "LocalCA"]

#: An issuing CA with less time left signs no more leaves.
_SHORTEST_LEAF: Final = timedelta(days=1)
#: When "Save and Test" says that the root has to be replaced.
_ROOT_WARNING: Final = timedelta(days=365)
#: How often certcore asks whether leaves are to be replaced, and within which time they are.
_ASK_AGAIN: Final = timedelta(hours=1)
_REPLACED_WITHIN: Final = timedelta(hours=4)
_SERIAL_TRIES: Final = 3
_CERTIFICATE: Final = "application/pkix-cert"
_CRL: Final = "application/pkix-crl"


@frozen(kw_only=True)
class Distrust:
    """What the action ``distrust_issuing_ca`` asks for."""

    issuer: str = form.text("Number of the issuing CA", maximum=16, placeholder="0001")


class LocalCA(
    SigningCA[LocalCAProfile, NoSettings],
    SupportsRevocation,
    SupportsRenewalInfo,
    SupportsCheck,
    SupportsActions,
    SupportsFiles,
):
    """A private CA whose keys are sealed in certcore's store.

    It signs for every name that its profile permits, without any validation of domain control: whoever may use the CA
    profile gets a certificate. It has no OCSP responder: clients that check for revocation read its CRL.
    """

    name = "local_ca"
    title = "Private CA"

    def check_profile(self, profile: LocalCAProfile) -> None:
        """Refuse settings that do not fit together."""
        check_settings(profile)

    def check_request(
        self, context: ModuleContext[LocalCAProfile], names: Sequence[DnsName], settings: NoSettings
    ) -> None:
        """Refuse names that the profile, or the certificate of the issuing CA, does not permit."""
        del settings
        issuer = Issuers(context=context).current()
        refused = _refused(context.profile, issuer, [name.ascii for name in names])
        if refused:
            params = {"names": ", ".join(refused)}
            raise InvalidInputError(
                _field_of(refused[0], names),
                Message("local_ca.not_permitted", "has names that this CA must not certify: {names}.", params),
            )

    def sign(
        self, csr: x509.CertificateSigningRequest, context: SigningContext[LocalCAProfile, NoSettings]
    ) -> list[x509.Certificate]:
        """Sign a leaf with the current issuing CA."""
        profile, issuers = context.profile, Issuers(context=context)
        issuer = issuers.ready()
        names = [name.ascii for name in context.names]
        if refused := _refused(profile, issuer, names):
            text = Message(
                "local_ca.refused", "The private CA must not certify {names}.", {"names": ", ".join(refused)}
            )
            raise SigningRefusedError(
                text, advice=Message("local_ca.refused.advice", "Ask for names that the CA profile permits.")
            )
        if Revocations(context=context).is_compromised(csr):
            text = Message(
                "local_ca.compromised", "A certificate with this key was revoked, as others may have the key."
            )
            raise SigningRefusedError(text, advice=Message("local_ca.compromised.advice", "Use a new key."))
        validity = context.validity(profile.lifetime, not_after=issuer.ends)
        if validity[1] - context.now < _SHORTEST_LEAF:
            text = Message("local_ca.issuer_ends", "The issuing CA ends at {at}.", {"at": _day(issuer.ends)})
            advice = Message(
                "local_ca.issuer_ends.advice", "Enter a new issuing CA in the CA profile, or make a new CA profile."
            )
            raise SigningRefusedError(text, advice=advice, of_authority=True)
        try:
            leaf = make_leaf(
                issuers.authority(issuer),
                csr,
                names,
                serial_number=_new_serial_number(context),
                validity=validity,
                usage=LeafUsage(profile.usage),
                publication=Publication(
                    crl_url=profile.crl_url.replace("{issuer}", issuer.id),
                    issuer_url=profile.issuer_url.replace("{issuer}", issuer.id),
                ),
            )
        except UnsuitableRequestError as error:
            raise SigningRefusedError(error.reason) from None
        return [leaf, *issuer.chain]

    def revoke(
        self,
        issuance: Issuance,
        reason: RevocationReason,
        private_key: Callable[[], Secret | None],
        context: ModuleContext[LocalCAProfile],
    ) -> None:
        """Put the leaf on the CRL of the issuing CA that signed it.

        Raises:
            CAError: None of the issuing CAs has signed it, or an imported leaf has no key here as a proof.
        """
        leaf = x509.load_pem_x509_certificate((issuance.leaf_pem or "").encode())
        issuer = Issuers(context=context).issuer_of(leaf)
        if issuer is None:
            raise CAError(
                Message(
                    "local_ca.not_ours", "The private CA has not issued this certificate, or its issuing CA has ended."
                )
            )
        if issuance.purpose is Purpose.IMPORT and not _proves(private_key(), leaf):
            text = Message("local_ca.no_proof", "A certificate that was imported is revoked with its private key only.")
            raise CAError(text, advice=Message("local_ca.no_proof.advice", "Import it with its private key."))
        Revocations(context=context).revoke(leaf, issuer, reason)

    def renewal_info(self, issuance: Issuance, context: ModuleContext[LocalCAProfile]) -> SuggestedWindow | None:
        """Have leaves of an issuing CA that is distrusted renewed at once, all others in their last third."""
        leaf = x509.load_pem_x509_certificate((issuance.leaf_pem or "").encode())
        issuer = Issuers(context=context).issuer_of(leaf)
        if issuer is None:
            return None
        since = Revocations(context=context).distrusted_at(issuer)
        start, end, length = leaf.not_valid_before_utc, leaf.not_valid_after_utc, _REPLACED_WITHIN
        if since is None:
            since, length = end - (end - start) / 3, (end - start) / 50
        return SuggestedWindow(start=since, end=since + length, retry_after=_ASK_AGAIN.total_seconds())

    def check(self, context: ModuleContext[LocalCAProfile]) -> CheckReport:
        """Create the root and the issuing CA if there are none, sign the CRL, and report what ends soon."""
        issuer = Issuers(context=context).ready()
        now = context.environment.now()
        root_end = issuer.ends if issuer.root is None else issuer.root.not_valid_after_utc
        return CheckReport(
            items=(
                CheckItem(
                    title=Message("local_ca.check.root", "The root is valid for another year"),
                    ok=root_end - now > _ROOT_WARNING,
                    detail=Message("local_ca.check.ends", "It ends at {at}.", {"at": _day(root_end)}),
                    advice=Message(
                        "local_ca.check.root.advice", "Make a new CA profile, and have clients trust its root."
                    ),
                ),
                CheckItem(
                    title=Message("local_ca.check.issuer", "The issuing CA outlives a new certificate"),
                    ok=issuer.ends - now >= context.profile.lifetime,
                    detail=Message("local_ca.check.ends", "It ends at {at}.", {"at": _day(issuer.ends)}),
                    advice=Message("local_ca.check.issuer.advice", "Enter a new issuing CA in the CA profile."),
                ),
                CheckItem(
                    title=Message("local_ca.check.constraints", "The issuing CA has the domains of the CA profile"),
                    ok=bool(context.profile.ca_private_key)
                    or NameConstraints.of(issuer.certificate) == context.profile.constraints,
                    detail=_domains(NameConstraints.of(issuer.certificate)),
                    advice=Message("local_ca.check.constraints.advice", "Take the action Replace the issuing CA."),
                ),
                *_crl_check(context, issuer),
            )
        )

    def profile_hints(self, context: ModuleContext[LocalCAProfile]) -> Sequence[Hint]:
        """The root that clients have to trust, the issuing CAs and their CRLs."""
        issuers = Issuers(context=context).all()
        if not issuers:
            text = "Root and issuing CA are made by Save and Test, or with the first certificate."
            return [Notice(Level.INFO, Message("local_ca.not_made", text))]
        revocations = Revocations(context=context)
        rows = [
            Fact(Message("local_ca.fact.issuer", "Issuing CA {id}", {"id": each.id}), _issuer_fact(each, revocations))
            for each in issuers
        ]
        root = issuers[-1].root
        if root is not None:
            rows.insert(0, Fact(Message("local_ca.fact.root", "Root"), _called(root)))
            rows.insert(
                1,
                Fact(
                    Message("local_ca.fact.fingerprint", "SHA-256 of the root"),
                    root.fingerprint(hashes.SHA256()).hex(":"),
                ),
            )
        trust = "Clients have to trust the root; it is among the files. This CA answers no OCSP: publish its CRLs."
        return [Facts(tuple(rows)), Notice(Level.INFO, Message("local_ca.trust", trust))]

    def profile_actions(self, context: ModuleContext[LocalCAProfile]) -> Sequence[ProfileAction]:
        """Distrust an issuing CA, and replace it if this module creates its issuing CAs."""
        distrust = ProfileAction(
            name="distrust_issuing_ca",
            label=Message("local_ca.distrust", "Distrust an issuing CA"),
            help=Message(
                "local_ca.distrust.help", "For a key that was stolen: certificates of this issuing CA are renewed."
            ),
            form=Distrust,
            confirm=Message(
                "local_ca.distrust.confirm",
                "The issuing CA is revoked, and all of its certificates are renewed within hours. Go on?",
            ),
        )
        if context.profile.ca_private_key is not None:
            return [distrust]
        return [
            distrust,
            ProfileAction(
                name="replace_issuing_ca",
                label=Message("local_ca.replace", "Replace the issuing CA"),
                help=Message(
                    "local_ca.replace.help", "Makes a new issuing CA with the name constraints of this CA profile."
                ),
                confirm=Message(
                    "local_ca.replace.confirm",
                    "New certificates are signed by the new issuing CA. Those that are in service stay valid. Go on?",
                ),
            ),
        ]

    def run_action(self, name: str, values: Any, context: ModuleContext[LocalCAProfile], *, actor: str) -> Message:
        """Distrust an issuing CA, or make the next one."""
        del name, actor
        issuers = Issuers(context=context)
        if isinstance(values, Distrust):
            return _distrust(context, values.issuer)
        if len(issuers.all()) >= MOST_ISSUERS:
            text = Message("local_ca.too_many", "{count} issuing CAs are valid already.", {"count": MOST_ISSUERS})
            raise CAError(text, advice=Message("local_ca.too_many.advice", "Wait until one of them has ended."))
        issuer = issuers.rotate()
        return Message("local_ca.replaced", "{name} signs from now on.", {"name": _called(issuer.certificate)})

    def profile_files(self, context: ModuleContext[LocalCAProfile]) -> Sequence[ModuleFile]:
        """The root, and certificate and CRL of each issuing CA that is valid; all DER (RFC 2585)."""
        issuers = Issuers(context=context).all()
        files = []
        for root in dict.fromkeys(issuer.root for issuer in issuers if issuer.root is not None):
            suffix = root.fingerprint(hashes.SHA256()).hex()[:8]
            files.append(
                _file(
                    f"root-{suffix}.crt",
                    _CERTIFICATE,
                    root.public_bytes(Encoding.DER),
                    Message("local_ca.file.root", "Root"),
                )
            )
        made = next((root for root in map(Issuers(context=context).root_of, issuers) if root is not None), None)
        if made is not None and made.ends > context.environment.now():
            crl = Revocations(context=context).crl(made).public_bytes(Encoding.DER)
            files.append(_file(f"{ROOT}.crl", _CRL, crl, Message("local_ca.file.root_crl", "CRL of the root")))
        for issuer in issuers:
            label = Message("local_ca.file.issuer", "Issuing CA {id}", {"id": issuer.id})
            files.append(_file(f"{issuer.id}.crt", _CERTIFICATE, issuer.certificate.public_bytes(Encoding.DER), label))
            crl = Revocations(context=context).crl(issuer).public_bytes(Encoding.DER)
            label = Message("local_ca.file.crl", "CRL of issuing CA {id}", {"id": issuer.id})
            files.append(_file(f"{issuer.id}.crl", _CRL, crl, label))
        return files

    def certificate_files(self, view: CertificateView, context: ModuleContext[LocalCAProfile]) -> Sequence[ModuleFile]:
        """No files: those of the CA profile are shown with each certificate."""
        return []


def _distrust(context: ModuleContext[LocalCAProfile], issuer_id: str) -> Message:
    """Distrust an issuing CA; one that signs now is replaced first.

    Raises:
        InvalidInputError: There is no such issuing CA.
        CAError: It was given in the settings, and signs now.
    """
    issuers = Issuers(context=context)
    issuer = next((each for each in issuers.all() if each.id == issuer_id.strip()), None)
    if issuer is None:
        known = ", ".join(each.id for each in issuers.all()) or "-"
        advice = Message("local_ca.known_issuers", "Known: {known}.", {"known": known})
        raise InvalidInputError(
            "issuer", Message("local_ca.no_issuer", "is no issuing CA of this CA profile."), advice=advice
        )
    current = issuers.ready()
    if issuer.id == current.id:
        if context.profile.ca_private_key is not None:
            advice = Message("local_ca.enter_other", "Enter another issuing CA in the CA profile first.")
            raise CAError(Message("local_ca.signs_now", "This issuing CA signs now."), advice=advice)
        issuers.rotate()
    Revocations(context=context).distrust(issuer)
    return Message("local_ca.distrusted", "Certificates of {name} are renewed.", {"name": _called(issuer.certificate)})


def _crl_check(context: ModuleContext[LocalCAProfile], issuer: Issuer) -> tuple[CheckItem, ...]:
    """Whether the CRL can be signed; an issuing CA that has ended has none."""
    if issuer.ends <= context.environment.now():
        return ()
    crl = Revocations(context=context).crl(issuer)
    return (
        CheckItem(
            title=Message("local_ca.check.crl", "The CRL is signed"),
            ok=crl.is_signature_valid(issuer.certificate.public_key()),  # type: ignore[arg-type]  # a CA's key
            detail=Message(
                "local_ca.check.crl.next",
                "The next one is due at {at}.",
                {"at": f"{crl.next_update_utc:%Y-%m-%d %H:%M} UTC"},
            ),
        ),
    )


def _field_of(name: str, names: Sequence[DnsName]) -> str:
    """The field of the certificate's form that a name comes from."""
    if name == names[0].ascii:
        return "domain"
    return "wildcard" if name == f"*.{names[0].ascii}" else "aliases"


def _refused(profile: LocalCAProfile, issuer: Issuer | None, names: Sequence[str]) -> tuple[str, ...]:
    """The names that the profile or the issuing CA does not permit."""
    certified = NameConstraints() if issuer is None else NameConstraints.of(issuer.certificate)
    return tuple(dict.fromkeys((*profile.constraints.refused(names), *certified.refused(names))))


def _new_serial_number(context: SigningContext[LocalCAProfile, NoSettings]) -> int:
    """A serial number that this CA profile has not used: 159 random bits (RFC 5280 section 4.1.2.2: up to 20 octets).

    It is recorded in the transaction that stores the leaf.
    """
    for _ in range(_SERIAL_TRIES):
        number = x509.random_serial_number()
        key = f"{context.authority_id}/serial/{number:040x}"
        if context.documents.get(key) is None:
            context.documents.with_outcome.put(key, {"issuance": context.issuance.id})
            return number
    raise CAError(Message("local_ca.serial", "The random source repeats itself: no unused serial number was found."))


def _proves(private_key: Secret | None, leaf: x509.Certificate) -> bool:
    return (
        private_key is not None and load_pem_private_key(private_key.reveal(), None).public_key() == leaf.public_key()
    )


def _issuer_fact(issuer: Issuer, revocations: Revocations) -> Message:
    params = {"name": _called(issuer.certificate), "at": _day(issuer.ends), "count": revocations.count(issuer)}
    return Message("local_ca.fact.issuer.value", "{name}, until {at}; certificates on its CRL: {count}", params)


def _domains(constraints: NameConstraints) -> Message:
    params = {"permitted": ", ".join(constraints.permitted) or "*", "excluded": ", ".join(constraints.excluded) or "-"}
    return Message("local_ca.domains", "Permitted: {permitted}. Excluded: {excluded}.", params)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def _called(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def _file(name: str, media_type: str, content: bytes, label: Message) -> ModuleFile:
    return ModuleFile(name=name, media_type=media_type, content=content, label=label)
