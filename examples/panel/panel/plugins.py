"""The plugins of the example panel besides the ACME module: a second CA module, and an observer that fails."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import frozen

from certcore import CertificateView, Event, EventKind
from certcore.hints import Fact, Facts, Hint, Level, Message, Notice
from certcore.plugin import (
    CAModule,
    Failed,
    ModuleContext,
    NoSettings,
    Problem,
    Retry,
    StepResult,
    Waiting,
    WaitingFor,
    Work,
    form,
    hookimpl,
)

__all__ = ["FrontDesk", "WebServers"]


@frozen(kw_only=True)
class DeskProfile:
    """The settings of a CA profile of the front desk."""

    desk: str = form.text("Who issues", default="the front desk")


class DeskCA(CAModule[DeskProfile, NoSettings]):
    """A CA in which people decide: it never finishes a request."""

    name = "front_desk"
    title = "Front desk"

    def advance(self, work: Work[DeskProfile, NoSettings]) -> StepResult:
        """Refuse some requests, and work on all others forever."""
        if work.certificate.domain.ascii.startswith("error."):
            title = Message("", "The front desk refused the request.")
            advice = Message("", "Ask at the desk which papers are missing, and reissue.")
            return Failed(state={}, problem=Problem(title=title, advice=advice), retry=Retry.NEVER)
        look_again = work.environment.now() + timedelta(minutes=5)
        return Waiting(state={}, look_again=look_again, waiting_for=WaitingFor.AUTHORITY)

    def hints(self, view: CertificateView, context: ModuleContext[DeskProfile]) -> Sequence[Hint]:
        """The right column; the SSL section has no code for this module."""
        rows = (Fact(Message("", "Desk"), context.profile.desk), Fact(Message("", "Opening hours"), "9:00 to 17:00"))
        text = Message("", "The request lies at {desk}.", {"desk": context.profile.desk})
        return [Notice(Level.INFO, text), Facts(rows)]


class FrontDesk:
    """The plugin that provides `DeskCA`."""

    @hookimpl
    def certcore_ca_modules(self) -> Sequence[DeskCA]:
        """The CA modules of this plugin."""
        return [DeskCA()]


class WebServers:
    """An observer that pretends to deploy leaves; one of its servers is always down, so that a delivery fails."""

    @hookimpl
    def certcore_on_event(self, event: Event) -> None:
        """Called for each event, until it returns."""
        if event.kind is EventKind.INSTALLED and any(name.startswith("down.") for name in event.data["names"]):
            raise ConnectionError("web-2 does not answer on port 22")
