"""A CA module that keeps every rule and has every power, for tests that break one rule at a time."""

import contextlib
import threading
from datetime import timedelta

from attrs import frozen

import certcore
from certcore.hints import Level, Link, Message, Notice
from certcore.plugin import (
    ActionDone,
    BudgetUse,
    CAModule,
    CertificateAction,
    CheckItem,
    CheckReport,
    Failed,
    InvalidInputError,
    Issued,
    ModuleFile,
    Note,
    NoteSubject,
    Problem,
    ProfileAction,
    Readiness,
    Retry,
    Secret,
    SuggestedWindow,
    Waiting,
    WaitingFor,
    form,
)
from certcore.testing import FrozenEnvironment, LittleAuthority

SETTINGS = {"api_key": "canary-api-key-of-the-ca"}
INVALID_SETTINGS = (({"note": "refused"}, "note"), ({"days": 0}, "days"))
NOW = FrozenEnvironment().now()
#: One for all: its keys are made once.
AUTHORITY = LittleAuthority(NOW)


@frozen(kw_only=True)
class Profile:
    """A CA profile."""

    api_key: Secret = form.secret("API key")
    days: int = form.integer("Lifetime", minimum=1, maximum=90, default=30, unit="days")
    note: str = form.text("Note", default="")


@frozen(kw_only=True)
class Settings:
    """A certificate."""

    reference: str = form.text("Reference", default="")


class World:
    """What is outside of the process: the CA with its orders, and what the module holds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.orders = {}
        self.placed = 0
        self.held = set()
        self.released = set()
        self.revoked = set()
        self.last = None
        self.is_down = False

    @contextlib.contextmanager
    def down(self):
        self.is_down = True
        try:
            yield
        finally:
            self.is_down = False


def message(key, text="A text of the conformant CA."):
    return Message(f"conformant.{key}", text)


class ConformantCA(CAModule):
    """Takes an order, and issues a minute later."""

    name = "conformant"
    title = "Conformant CA"
    profile_type = Profile
    certificate_type = Settings

    def __init__(self):
        self.world = World()

    # -- steps

    def advance(self, work):
        if self.world.is_down:
            problem = Problem(type="urn:conformant:down", title="The CA does not answer.", advice="Wait.")
            return Failed(state=dict(work.state or {}), problem=problem, retry=Retry.SOON, of_authority=True)
        if work.state is None or "order" not in work.state:
            return self.ordered(work)
        return self.issued(work)

    def ordered(self, work):
        with self.world.lock:
            self.world.held.add(work.issuance.id)
            if work.issuance.id not in self.world.orders:
                self.world.orders[work.issuance.id] = f"order of {work.issuance.id}"
                self.world.placed += 1
        return self.waiting(work, order=self.world.orders[work.issuance.id])

    def waiting(self, work, **state):
        return Waiting(
            state={**(work.state or {}), **state},
            look_again=work.environment.now() + timedelta(minutes=1),
            waiting_for=WaitingFor.AUTHORITY,
            needs_clean_up=True,
            ordered=True,
            notes=(Note(about=NoteSubject.ORDER, text=message("ordered", "The order was placed.")),),
        )

    def issued(self, work):
        return Issued(state=dict(work.state), chain_pem=self.chain(work), needs_clean_up=True)

    def chain(self, work, csr=None):
        lifetime = timedelta(days=work.profile.days)
        return AUTHORITY.issue(csr or work.issuance.csr_pem, now=work.environment.now(), lifetime=lifetime)

    # -- forms

    def check_profile(self, profile):
        if profile.note == "refused":
            raise InvalidInputError("note", "is refused.")

    def check_request(self, context, names, settings):
        if any(name.is_wildcard for name in names):
            raise InvalidInputError("wildcard", "this CA issues no wildcards.")

    # -- pages

    def hints(self, view, context):
        return [
            Notice(Level.INFO, message("hint", "The conformant CA issues within a minute.")),
            Link(message("link", "The CA"), "https://ca.example/"),
        ]

    def profile_hints(self, context):
        return [Notice(Level.INFO, message("profile", "The account is in order."))]

    def profile_actions(self, context):
        return [ProfileAction(name="ping", label=message("ping", "Ping"), help=message("ping.help", "Asks the CA."))]

    def run_action(self, name, values, context, *, actor):
        return message("pinged", "The CA answers.")

    def certificate_actions(self, view, context):
        label, help_text = message("remind", "Remind"), message("remind.help", "Reminds the CA of the order.")
        return [CertificateAction(name="remind", label=label, help=help_text)]

    def run_certificate_action(self, name, values, work, *, actor):
        return ActionDone(text=message("reminded", "The CA was reminded."))

    def budgets(self, context):
        return [BudgetUse(name="orders", label=message("orders", "Orders"), used=1, most=10)]

    def profile_files(self, context):
        content = AUTHORITY.root_pem.encode()
        return [
            ModuleFile(name="root.pem", media_type="application/x-pem-file", content=content, label=message("root"))
        ]

    def certificate_files(self, view, context):
        return []

    # -- powers

    def check(self, context):
        return CheckReport(items=(CheckItem(title=message("reached", "The CA answers"), ok=not self.world.is_down),))

    def clean_up(self, work):
        with self.world.lock:
            self.world.held.discard(work.issuance.id)
            self.world.released.add(work.issuance.id)

    def certificate_deleted(self, certificate, context):
        pass

    def diagnose(self, names, context, *, thorough):
        return []

    def wants_preflights(self, context):
        return True

    def preflight(self, work):
        return Readiness(obstacles=())

    def renewal_info(self, issuance, context):
        moment = context.environment.now() + timedelta(days=10)
        return SuggestedWindow(start=moment, end=moment + timedelta(days=1), explanation_url="")

    def revoke(self, issuance, reason, private_key, context):
        self.world.revoked.add(issuance.leaf_pem)


class Registering:
    """A plugin with a CA module, and with translations where a folder of them is given."""

    def __init__(self, module, catalogues=()):
        self.name = f"plugin of {getattr(module, 'name', 'nothing')}"
        self.module = module
        self.catalogues = catalogues

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.module]

    @certcore.hookimpl
    def certcore_catalogues(self):
        return list(self.catalogues)
