"""The CA module: it waits until an administrator has uploaded the chain, or refused the request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen
from cryptography import x509

from certcore.hints import Fact, Facts, Hint, Level, Link, Message, Notice, Step, Steps, StepState
from certcore.plugin import (
    ActionDone,
    ActionRefused,
    ActionResult,
    ActionWork,
    CAModule,
    CertificateAction,
    CertificateView,
    Failed,
    InvalidInputError,
    Issued,
    ModuleContext,
    ModuleFile,
    NoSettings,
    Permission,
    Problem,
    Retry,
    StepResult,
    SupportsCertificateActions,
    SupportsFiles,
    Waiting,
    WaitingFor,
    Work,
    file_stem,
    form,
)
from certcore_manual_ca.uploads import complete_chain, read_certificates

__all__ = ["ManualCA", "ManualCAProfile", "Refusal", "Upload"]

#: Only an action changes anything, and it makes the certificate due at once; so the pause may be long.
_LOOK_AGAIN: Final = timedelta(days=1)


def _certificates(text: str, field: str) -> str:
    if text.strip():
        read_certificates(text, field)
    return text


def _https(text: str, field: str) -> str:
    parts = urlsplit(text)
    if not text or (parts.scheme == "https" and parts.hostname):
        return text
    raise InvalidInputError(field, Message("manual_ca.https", "must be an https URL."))


@frozen(kw_only=True)
class ManualCAProfile:
    """What the administrator fills in."""

    ca_name: str = form.text("Name of the CA", maximum=80)
    instructions: str = form.text(
        "What to do with the CSR", default="Send the CSR to the CA.", multiline=True, maximum=1000
    )
    portal_url: str = form.text(
        "Web page of the CA", default="", parse=_https, placeholder="https://portal.ca.example/"
    )
    ca_certificates: str = form.text(
        "Certificates of the CA",
        default="",
        multiline=True,
        maximum=65536,
        parse=_certificates,
        help="PEM: intermediates and root. They complete what is uploaded; leaves of other CAs are refused.",
    )

    @property
    def known(self) -> list[x509.Certificate]:
        """The certificates of the CA."""
        return read_certificates(self.ca_certificates, "ca_certificates") if self.ca_certificates.strip() else []


@frozen(kw_only=True)
class Upload:
    """What the action ``upload_chain`` asks for."""

    chain: str = form.text(
        "Certificate and chain", multiline=True, maximum=65536, help="PEM, as the CA sent it, in any order."
    )


@frozen(kw_only=True)
class Refusal:
    """What the action ``refuse_request`` asks for."""

    reason: str = form.text("Reason", maximum=300, help="The owner of the certificate reads it.")


class ManualCA(CAModule[ManualCAProfile, NoSettings], SupportsCertificateActions, SupportsFiles):
    """Waits for a person who carries the CSR to a CA and brings the chain back.

    The module validates nothing: the CA, and the administrator who uploads the chain, decide whether the owner gets
    the names.
    """

    name = "manual_ca"
    title = "CA by hand"

    def advance(self, work: Work[ManualCAProfile, NoSettings]) -> StepResult:
        """Return what the actions have stored in the state."""
        state = dict(work.state or {})
        if "chain" in state:
            return Issued(state={}, chain_pem=state["chain"])
        if "refused" in state:
            title = Message("manual_ca.refused", "The request was refused: {reason}", {"reason": state["refused"]})
            return Failed(state={}, problem=Problem(title=title), retry=Retry.NEVER)
        look_again = work.environment.now() + _LOOK_AGAIN
        return Waiting(state=state, look_again=look_again, waiting_for=WaitingFor.ADMINISTRATOR, repeatable=True)

    def certificate_actions(
        self, view: CertificateView, context: ModuleContext[ManualCAProfile]
    ) -> Sequence[CertificateAction]:
        """Upload the chain, or refuse the request; not for the owner of the certificate."""
        if not view.under_way:
            return []
        return [
            CertificateAction(
                name="upload_chain",
                label=Message("manual_ca.upload", "Upload the chain"),
                help=Message("manual_ca.upload.help", "Installs the certificate that the CA has issued for this CSR."),
                form=Upload,
                permission=Permission.CERTIFICATE_APPROVE,
            ),
            CertificateAction(
                name="refuse_request",
                label=Message("manual_ca.refuse", "Refuse the request"),
                help=Message("manual_ca.refuse.help", "Ends this issuance; the owner reads the reason."),
                form=Refusal,
                confirm=Message("manual_ca.refuse.confirm", "Refuse this request?"),
                permission=Permission.CERTIFICATE_APPROVE,
            ),
        ]

    def run_certificate_action(
        self, name: str, values: Any, work: ActionWork[ManualCAProfile, NoSettings], *, actor: str
    ) -> ActionResult:
        """Check the upload, and store it for the next step."""
        if work.issuance is None:
            return ActionRefused(reason=Message("manual_ca.nothing", "No request is under way."))
        if isinstance(values, Refusal):
            text = Message("manual_ca.refused", "The request was refused: {reason}", {"reason": values.reason})
            return ActionDone(text=text, state={"refused": values.reason})
        chain = complete_chain(
            values.chain,
            work.profile.known,
            csr_pem=work.issuance.csr_pem,
            names=[name.ascii for name in work.issuance.names],
            now=work.environment.now(),
        )
        text = Message("manual_ca.uploaded", "The chain was uploaded.")
        return ActionDone(text=text, state={"chain": chain})

    def hints(self, view: CertificateView, context: ModuleContext[ManualCAProfile]) -> Sequence[Hint]:
        """The steps, and what to do now."""
        profile, facts = context.profile, Facts((Fact(Message("manual_ca.ca", "CA"), context.profile.ca_name),))
        if not view.under_way:
            return [facts]
        carry = Message("manual_ca.step.carry", "Download the CSR and take it to {ca}", {"ca": profile.ca_name})
        hints: list[Hint] = [
            Notice(Level.INFO, Message("manual_ca.waits", "An administrator has this certificate issued by hand.")),
            facts,
            Steps(
                (
                    Step(title=Message("manual_ca.step.csr", "Generate the CSR"), state=StepState.DONE),
                    Step(title=carry, state=StepState.CURRENT, detail=profile.instructions),
                    Step(title=Message("manual_ca.step.upload", "Upload the chain"), state=StepState.WAITING),
                )
            ),
        ]
        if profile.portal_url:
            hints.append(Link(Message("manual_ca.portal", "Web page of the CA"), profile.portal_url))
        return hints

    def profile_files(self, context: ModuleContext[ManualCAProfile]) -> Sequence[ModuleFile]:
        """The certificates of the CA."""
        if not context.profile.known:
            return []
        return [
            ModuleFile(
                name="ca.pem",
                media_type="application/pem-certificate-chain",
                content=context.profile.ca_certificates.encode(),
                label=Message("manual_ca.file.ca", "Certificates of the CA"),
            )
        ]

    def certificate_files(self, view: CertificateView, context: ModuleContext[ManualCAProfile]) -> Sequence[ModuleFile]:
        """The CSR of the issuance under way."""
        if not view.under_way or view.issuance is None:
            return []
        return [
            ModuleFile(
                name=f"{file_stem(view.certificate.names[0].ascii)}.csr",
                media_type="application/pkcs10",
                content=view.issuance.csr_pem.encode(),
                label=Message("manual_ca.file.csr", "CSR"),
            )
        ]
