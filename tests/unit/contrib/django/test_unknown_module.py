"""The right column of a CA module that nobody has heard of: every kind of hint, a form, an action, files, live."""

import re
from datetime import timedelta

import pytest
from attrs import frozen
from django.test import override_settings

from certcore import CertCore
from certcore.contrib.django.roles import policy
from certcore.hints import (
    ActionButton,
    DnsRecord,
    DnsRecords,
    Fact,
    Facts,
    Finding,
    Form,
    Level,
    Link,
    Message,
    Notice,
    RecordChange,
    RecordState,
    Refresh,
    Severity,
    Step,
    Steps,
    StepState,
)
from certcore.plugin import (
    ActionDone,
    ActionRefused,
    CAModule,
    CertificateAction,
    ModuleFile,
    NoSettings,
    Waiting,
    WaitingFor,
    fields_of,
    form,
    hookimpl,
)
from support.django_pages import LIST, page, text

_PIN = "canary-pin-4711"


@frozen(kw_only=True)
class Wish:
    """What a certificate is asked."""

    desk: str = form.text("Which desk", default="", maximum=40)


@frozen(kw_only=True)
class Visit:
    """What the action asks for."""

    whom: str = form.text("Whom to visit", maximum=20)
    copies: int = form.integer("Copies", minimum=1, maximum=3, default=1)
    polite: bool = form.boolean("Politely", default=True)
    pin: object = form.secret("PIN", default=None)


class DeskCA(CAModule):
    """Waits for ever, and has something of every kind to say."""

    name = "desk"
    title = "The desk"
    profile_type = NoSettings
    certificate_type = Wish

    def __init__(self):
        self.seen = "nothing yet"
        self.visits = []
        self.is_broken = False

    def _break(self):
        if self.is_broken:
            raise RuntimeError("the desk has burnt down")

    def advance(self, work):
        later = work.environment.now() + timedelta(hours=1)
        return Waiting(state={}, look_again=later, waiting_for=WaitingFor.OWNER)

    def certificate_form(self, context):
        self._break()
        return super().certificate_form(context)

    def hints(self, view, context):
        self._break()
        finding = Finding(
            code="desk_closed",
            severity=Severity.ERROR,
            name="_desk.shop.example",
            server="ns1.shop.example",
            expected="open",
            seen=self.seen,
            cause=Message("desk.closed", "The desk is closed <b>today</b>."),
            advice=Message("desk.closed.advice", "Come back tomorrow."),
            remedy=(RecordChange(name="_desk.shop.example", type="TXT", value="come in"),),
        )
        hostile = {"name": "<script>alert(1)</script>"}
        record = DnsRecord(
            name="_desk.shop.example",
            type="CNAME",
            value="x.desk.example",
            state=RecordState.WRONG,
            findings=(finding,),
        )
        return [
            Notice(Level.WARNING, Message("desk.notice", "Take a number, {name}.", hostile)),
            Facts((Fact(Message("desk.queue", "Queue"), "seventeen"),)),
            DnsRecords((record,)),
            Steps((Step(title=Message("desk.step", "Knock"), state=StepState.CURRENT, detail="twice"),)),
            Form(fields_of(Wish)),
            Link(Message("desk.link", "Opening hours"), "https://desk.example/hours"),
            ActionButton(name="visit", label=Message("desk.visit", "Visit the desk")),
            Refresh(7.0),
        ]

    def certificate_actions(self, view, context):
        self._break()
        label, help_text = Message("desk.visit", "Visit the desk"), Message("desk.visit.help", "Somebody goes there.")
        return [CertificateAction(name="visit", label=label, help=help_text, form=Visit)]

    def run_certificate_action(self, name, values, work, *, actor):
        if values.whom == "nobody":
            return ActionRefused(field="whom", reason=Message("desk.nobody", "is not in."))
        self.visits.append(values)
        return ActionDone(
            text=Message("desk.visited", "{actor} visited {whom}.", {"actor": actor, "whom": values.whom})
        )

    def certificate_files(self, view, context):
        self._break()
        label = Message("desk.map", "The way there")
        return [ModuleFile(name="map.txt", media_type="text/plain", content=b"left, then right", label=label)]

    def profile_files(self, context):
        return []


@pytest.fixture
def desk(panel):
    """An administrator's browser, the module, and a certificate of it."""
    module = DeskCA()

    class Plugin:
        @hookimpl
        def certcore_ca_modules(self):
            return [module]

    with CertCore.in_memory(plugins=[Plugin(), policy()], installed_plugins=False) as core:
        profile = core.authorities.create("Desk of shops", module="desk")
        certificate_id = core.certificates.create("shop.example", authority=profile.id).id
        with override_settings(CERTCORE={"CORE": lambda: core}):
            yield panel.browser(panel.user("ada", "SSL administrators")), module, certificate_id, core


def test_every_kind_of_hint_is_drawn(desk):
    """With its texts escaped, records to copy, and the module's own field in the form."""
    browser, _, certificate_id, _ = desk
    raw = browser.get(page(certificate_id)).content.decode()
    shown = text(browser.get(page(certificate_id)))
    for expected in (
        "seventeen",
        "Knock",
        "twice",
        "Opening hours",
        "Visit the desk",
        "Come back tomorrow.",
        "come in",
    ):
        assert expected in shown
    assert "<script>alert" not in raw
    assert "<b>today" not in raw
    assert 'data-copy="x.desk.example"' in raw
    assert 'data-copy="_desk.shop.example"' in raw
    assert 'href="https://desk.example/hours" rel="noopener noreferrer"' in raw
    assert 'href="#field-desk"' in raw
    assert 'name="desk"' in raw
    assert 'hx-trigger="every 7s"' in raw
    assert "ns1.shop.example" in shown


def test_its_action_asks_refuses_and_is_done(desk):
    """Its form has a page; what the module refuses is told beside the field, and secrets are not sent back."""
    browser, module, certificate_id, core = desk
    address = page(certificate_id, "actions/visit/")
    asked = text(browser.get(address))
    for name in ("whom", "copies", "polite", "pin"):
        assert f'name="{name}"' in asked
    for wrong in ({"whom": "nobody", "copies": "1", "pin": _PIN}, {"whom": "", "copies": "9"}):
        refused = browser.post(address, wrong)
        assert refused.status_code == 422
        assert 'href="#field-whom"' in text(refused)
        assert _PIN not in text(refused)
    done = browser.post(address, {"whom": "Anna", "copies": "2", "pin": _PIN}, follow=True)
    assert "ada visited Anna." in text(done)
    (visit,) = module.visits
    assert (visit.whom, visit.copies, visit.polite, visit.pin.reveal_text()) == ("Anna", 2, False, _PIN)
    assert _PIN not in text(browser.get(page(certificate_id, "timeline/")))
    assert [event.kind for event in core.certificates.timeline(certificate_id)][-1] == "acted"


def test_its_files_are_attachments(desk):
    """A browser saves them and does not run them."""
    browser, _, certificate_id, _ = desk
    assert "The way there" in text(browser.get(page(certificate_id)))
    answer = browser.get(page(certificate_id, "files/map.txt"))
    assert answer.content == b"left, then right"
    assert answer["Content-Disposition"] == 'attachment; filename="map.txt"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert browser.get(page(certificate_id, "files/other.txt")).status_code == 404


def test_the_live_part_comes_when_something_differs(desk):
    """Nothing is sent twice; a change of the hints alone leaves the left column alone, one of the status does not."""
    browser, module, certificate_id, core = desk

    def address_in(answer):
        return re.search(r'hx-get="([^"]+)"', answer.content.decode())[1]

    address = address_in(browser.get(page(certificate_id)))
    assert browser.get(address).status_code == 204
    module.seen = "closed, as always"
    changed = browser.get(address)
    assert "closed, as always" in text(changed)
    assert "certificate-left" not in text(changed)
    address = address_in(changed)
    assert browser.get(address).status_code == 204
    core.certificates.generate_csr(certificate_id)
    changed = browser.get(address)
    assert 'id="certificate-left" hx-swap-oob' in text(changed)
    assert "Pending" in text(changed)
    assert browser.get(address_in(changed)).status_code == 204


def test_a_broken_module_takes_no_page_down(desk):
    """The left column and certcore's own buttons stay; the page says which module failed, and stores no half form."""
    browser, module, certificate_id, core = desk
    module.is_broken = True
    answer = browser.get(page(certificate_id))
    assert answer.status_code == 200
    assert "cannot show its hints" in text(answer)
    assert 'name="domain"' in text(answer)
    assert "Delete" in text(answer)
    for answer in (
        browser.get(f"{LIST}new/"),
        browser.post(f"{LIST}new/", {"domain": "blog.example", "authority": core.authorities.list()[0].id}),
    ):
        assert 'role="alert"' in text(answer)
        assert 'name="domain"' in text(answer)
    assert len(core.certificates.list().items) == 1
