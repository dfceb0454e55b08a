"""The right column of a certificate with a leaf: what is said of the attempt beside it, and which records it shows."""

import base64
from datetime import timedelta

import pytest
from attrs import evolve, frozen

from certcore import CertCore
from certcore.model.hints import DnsRecords, Facts, Notice, RecordState, Refresh, Steps, StepState
from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.testing.clock import FrozenEnvironment
from certcore_puq_acme import plugin
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.hints.certificate import right_column
from certcore_puq_acme.orders.state import Findings, SeenFinding, SeenRecord, UnwrittenValues, WaitingTurn
from certcore_puq_acme.rate_limits.turns import Why
from support.inside import inside
from support.leaves import bought

CNAMES = ["_acme-challenge.shop.test"]


@frozen
class Page:
    """A certificate that was imported, and what its page shows."""

    core: CertCore
    id: str

    @property
    def view(self):
        return self.core.certificates.view(self.id)

    @property
    def context(self):
        return inside(self.core).contexts.context(self.view.authority)[1]

    def hints(self, view):
        return right_column(view, self.context)

    def texts(self, view):
        """What the notices say."""
        return "\n".join(str(hint.text) for hint in self.hints(view) if isinstance(hint, Notice))

    def facts(self, view):
        """Labels and values."""
        return {str(row.label): row.value for hint in self.hints(view) if isinstance(hint, Facts) for row in hint.rows}

    def cnames(self, view):
        """The records that the owner is to set: where each points."""
        return {row.name: row.value for hint in self.hints(view) if isinstance(hint, DnsRecords) for row in hint.rows}

    def validated(self, view):
        """The same, as if the leaf in service had been validated with the records that are to be set now."""
        bases = {name.removeprefix("_acme-challenge."): target for name, target in self.cnames(view).items()}
        active = evolve(view.active, authority_id="another", module_state={"targets": bases})
        return evolve(view, active=active)


@pytest.fixture
def page():
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False, environment=FrozenEnvironment()) as core:
        settings = {"tech_zone": "acme.panel.test", "terms_agreed": True}
        authority = core.authorities.create("acme", module="puq_acme", settings=settings)
        pem, _ = bought("shop.test", now=core.now())
        yield Page(core, core.certificates.import_certificate(pem, authority=authority.id).id)


def test_the_records_of_a_first_issuance_are_there_at_once(page):
    """Before the renewal of an import, and as soon as it is asked for: no look of the engine is needed."""
    assert "first that is validated here" in page.texts(page.view)
    assert list(page.cnames(page.view)) == CNAMES
    page.core.certificates.renew(page.id)
    assert page.view.under_way
    assert "The owner sets the DNS records below" in page.texts(page.view)
    assert list(page.cnames(page.view)) == CNAMES


def test_records_that_are_set_already_are_not_asked_for(page):
    """Another CA profile of the same tech zone, after a fallback say, wants none; further names, another zone, do."""
    known = page.validated(page.view)
    assert page.cnames(known) == {}
    assert "first that is validated here" not in page.texts(known)
    page.core.certificates.reissue(page.id, wildcard=True)
    known = evolve(page.view, active=known.active)
    assert page.cnames(known) == {}
    page.core.certificates.reissue(page.id, aliases=["www.shop.test"])
    known = evolve(page.view, active=known.active)
    assert list(page.cnames(known)) == [*CNAMES, "_acme-challenge.www.shop.test"]
    known = page.validated(page.view)
    page.core.authorities.edit(page.view.authority.id, settings={"tech_zone": "other.panel.test"})
    assert len(page.cnames(known)) == 2


def test_lasting_records_are_of_one_ca_profile(page):
    """With dns-persist-01 each CA profile, and each further name, needs records of its own."""
    profile = page.view.authority.id
    page.core.authorities.edit(profile, settings={"challenges": "dns-persist-01"})
    state = {"challenge": "dns-persist-01", "targets": {}}
    own = evolve(page.view, active=evolve(page.view.active, authority_id=profile, module_state=state))
    asks = "first that is validated here"
    assert asks not in page.texts(own)
    assert asks in page.texts(evolve(own, active=evolve(own.active, authority_id="another")))
    assert asks in page.texts(evolve(own, active=evolve(own.active, names=())))
    assert asks in page.texts(evolve(own, active=evolve(own.active, module_state={"challenge": "dns-01"})))


def _failed(page):
    """A view after a renewal, long before it was due, that failed for good; the next look is in six hours."""
    page.core.certificates.renew(page.id)
    view = page.view
    problem = Problem(title="The CA will not.", advice="Remove the name.")
    return evolve(
        view,
        certificate=evolve(view.certificate, problem=problem),
        issuance=evolve(view.issuance, outcome=Outcome.FAILED),
        schedule=evolve(view.schedule, due_at=view.now + timedelta(hours=6)),
    )


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.EXPIRED])
def test_a_renewal_that_failed_is_not_under_way(page, status):
    """The page says that it failed, with the reason, and names no next attempt when none is due."""
    view = _failed(page)
    view = evolve(view, certificate=evolve(view.certificate, status=status))
    text = page.texts(view)
    assert "under way" not in text
    assert "is being requested" not in text
    assert "failed" in text
    assert "The CA will not. Remove the name." in text
    assert "Next attempt" not in page.facts(view)


def test_the_next_attempt_is_named_when_there_is_one(page):
    """The page names the next attempt while one is open, and when the renewal is due at the next look."""
    view = _failed(page)
    assert "Next attempt" not in page.facts(view)
    later = view.renews_at + timedelta(hours=1)
    late = evolve(view, now=later, schedule=evolve(view.schedule, due_at=later))
    assert page.facts(late)["Next attempt"] == f"{later:%Y-%m-%d %H:%M} UTC"
    assert "Next attempt" in page.facts(evolve(view, issuance=evolve(view.issuance, outcome=None)))


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.ACTIVE])
def test_a_value_that_the_dns_does_not_show(page, status):
    """While it is waited for, the page says which one, where it is missing, and what to look at."""
    page.core.certificates.renew(page.id)
    missing = {"name": CNAMES[0], "zone": "acme.panel.test", "server": "192.0.2.1:53", "seen": "0 of 1 values"}
    foreign = {"name": CNAMES[0], "zone": "acme.panel.test", "server": "192.0.2.1:53", "seen": "old-value"}
    unseen = [{"code": "txt_missing", "params": missing}, {"code": "txt_foreign", "params": foreign}]
    view = page.view
    waiting = evolve(view.issuance, module_state={"stage": "published"}, findings={"unseen": unseen})
    view = evolve(view, issuance=waiting, certificate=evolve(view.certificate, status=status))
    text = page.texts(view)
    assert f"192.0.2.1:53 does not show the TXT values of the order at {CNAMES[0]} (0 of 1 values)" in text
    assert "this panel has not published: old-value" in text
    assert "acme.panel.test is delegated" in text
    assert "No action is needed" not in text
    further = evolve(view, issuance=evolve(waiting, module_state={"stage": "answered"}))
    assert "does not show" not in page.texts(further)


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.EXPIRED])
def test_a_page_looks_for_news_soon_while_a_renewal_is_under_way(page, status):
    """Whoever has pressed "Renew now" waits seconds for what it finds, not half a minute; otherwise nothing hurries."""

    def pause():
        view = evolve(page.view, certificate=evolve(page.view.certificate, status=status))
        return next(hint.after for hint in page.hints(view) if isinstance(hint, Refresh))

    assert pause() == 30
    page.core.certificates.renew(page.id)
    assert pause() <= 5


def test_a_renewal_that_could_not_begin_says_why(page):
    """There is no attempt then, and a problem all the same."""
    view = page.view
    problem = Problem(title="This CA profile does not allow wildcards.", advice="Use another one.")
    assert problem.title not in page.texts(view)
    told = evolve(view, certificate=evolve(view.certificate, problem=problem))
    assert f"{problem.title} {problem.advice}" in page.texts(told)


def _steps(page, view):
    """The rows of the list of steps of the attempt, by their titles."""
    steps = next(hint for hint in page.hints(view) if isinstance(hint, Steps))
    return {str(row.title): row.state for row in steps.rows}


@pytest.mark.parametrize("stage", [None, "preflight", "ordered", "published", "answered", "finalizing"])
@pytest.mark.parametrize("challenge", ["dns-01", "dns-persist-01"])
def test_the_steps_tell_of_the_records_that_there_are(page, challenge, stage):
    """With dns-persist-01 no step speaks of a CNAME or of published values; with dns-01 both do."""
    page.core.authorities.edit(page.view.authority.id, settings={"challenges": challenge})
    page.core.certificates.renew(page.id)
    view = page.view
    state = {"stage": stage, **({} if stage == "preflight" else {"challenge": challenge})} if stage else None
    view = evolve(view, issuance=evolve(view.issuance, module_state=state))
    steps = _steps(page, view)
    titles = " ".join(steps)
    lasting = challenge == "dns-persist-01"
    assert ("CNAME" in titles, "alidation values" in titles) == (not lasting, not lasting)
    assert ("TXT record" in titles) == lasting
    assert list(steps.values()).count(StepState.CURRENT) == 1


def _records(*states):
    return [{"name": f"_acme-challenge.{number}.shop.test", "state": state} for number, state in enumerate(states)]


@pytest.mark.parametrize("challenge", ["dns-01", "dns-persist-01"])
@pytest.mark.parametrize("turn", [None, {"why": "orders"}, {"why": "pause"}])
@pytest.mark.parametrize("states", [(), ("correct", "correct")])
def test_no_record_is_to_be_checked_while_the_ca_is_the_reason(page, challenge, turn, states):
    """When the CA refuses the connection, or at a limit, the step that fails or waits is the order's."""
    page.core.authorities.edit(page.view.authority.id, settings={"challenges": challenge})
    page.core.certificates.renew(page.id)
    view = page.view
    problem = None if turn else Problem(title="The CA at ca.test refused the connection.")
    findings = {"records": _records(*states), **({"turn": turn} if turn else {})}
    view = evolve(
        view,
        certificate=evolve(view.certificate, problem=problem),
        issuance=evolve(view.issuance, module_state={"stage": "preflight"}, findings=findings),
    )
    steps = _steps(page, view)
    assert not [title for title in steps if title.startswith("Check")]
    assert steps["Place the order at the CA"] is (StepState.CURRENT if turn else StepState.FAILED)


def test_a_record_that_is_wrong_is_the_step_that_fails(page):
    """After a failed validation whose cause is seen here, it is the owner's record that is to be checked."""
    page.core.certificates.renew(page.id)
    view = page.view
    view = evolve(
        view,
        certificate=evolve(view.certificate, problem=Problem(title="The CA could not validate shop.test.")),
        issuance=evolve(view.issuance, module_state={}, findings={"records": _records("correct", "wrong")}),
    )
    assert _steps(page, view)["Check the CNAME"] is StepState.FAILED


def test_a_short_eab_key_is_told_before_the_ca_refuses_it(page):
    """The CA profile's page names its length and what RFC 7518 asks for; a key of 32 bytes is not worth a word."""
    authority = page.view.authority.id

    def texts(key):
        encoded = base64.urlsafe_b64encode(key).decode().rstrip("=")
        page.core.authorities.edit(authority, settings={"eab_kid": "kid", "eab_hmac_key": encoded})
        return "\n".join(str(hint.text) for hint in page.core.authorities.hints(authority) if isinstance(hint, Notice))

    assert "has 30 bytes; RFC 7518 asks for at least 32" in texts(b"k" * 30)
    assert "RFC 7518" not in texts(b"k" * 32)


def _waiting(page, status, findings):
    """A view of an attempt under way that has seen this, and is looked at again in seven minutes."""
    page.core.certificates.renew(page.id)
    view = page.view
    return evolve(
        view,
        certificate=evolve(view.certificate, status=status),
        issuance=evolve(view.issuance, findings=findings.to_json()),
        schedule=evolve(view.schedule, due_at=view.now + timedelta(minutes=7)),
    )


def _record(state):
    return SeenRecord(name=CNAMES[0], base="shop.test", target="x.acme.panel.test", state=state)


WAITS = {
    "owner": Findings(records=(_record(RecordState.MISSING),)),
    "servers that do not answer": Findings(records=(_record(RecordState.UNREACHABLE),)),
    "tech zone": Findings(
        records=(_record(RecordState.CORRECT),),
        zone=(SeenFinding.of(finding(DnsCode.TECH_ZONE_UNREACHABLE, name="z")),),
    ),
    "writer": Findings(records=(_record(RecordState.CORRECT),), unwritten=UnwrittenValues(said="No.", advice="Look.")),
    "turn": Findings(turn=WaitingTurn(why=Why.LIMIT, limit="orders 3 per 1h")),
}


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING, Status.ACTIVE, Status.EXPIRED])
@pytest.mark.parametrize("what", WAITS)
def test_every_wait_says_when_it_is_looked_at_again(page, status, what):
    """Whatever an attempt waits for, before the first leaf and beside one, the page has the moment of the next look."""
    view = _waiting(page, status, WAITS[what])
    shown = f"{view.schedule.due_at:%Y-%m-%d %H:%M:%S UTC}"
    assert shown in page.facts(view).get("Next look", "") or shown in page.texts(view)


def test_servers_that_do_not_answer_are_not_the_owners_missing_records(page):
    """Where no record could be checked the page says that, and not that records are wrong."""
    text = page.texts(_waiting(page, Status.PENDING, WAITS["servers that do not answer"]))
    assert "1 of 1 DNS records below could not be checked" in text
    assert "are not correct" not in text
