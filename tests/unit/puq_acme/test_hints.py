"""The right column of a certificate with a leaf: what is said of the attempt beside it, and which records it shows."""

import base64
from datetime import timedelta

import pytest
from attrs import evolve, frozen

from certcore import CertCore
from certcore.model.hints import DnsRecords, Facts, Notice, Steps, StepState
from certcore.model.issuance import Outcome
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.subject import Subject
from certcore.testing.authority import LittleAuthority
from certcore.testing.clock import FrozenEnvironment
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from certcore_puq_acme.hints import right_column

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
        return self.core.engine.contexts.context(self.view.authority)[1]

    def hints(self, view):
        return right_column(view, self.context)

    def texts(self, view):
        """What the notices say."""
        return "\n".join(str(one.text) for one in self.hints(view) if isinstance(one, Notice))

    def facts(self, view):
        """Labels and values."""
        return {str(row.label): row.value for one in self.hints(view) if isinstance(one, Facts) for row in one.rows}

    def cnames(self, view):
        """The records that the owner is to set: where each points."""
        return {row.name: row.value for one in self.hints(view) if isinstance(one, DnsRecords) for row in one.rows}

    def validated(self, view):
        """The same, as if the leaf in service had been validated with the records that are to be set now."""
        bases = {name.removeprefix("_acme-challenge."): target for name, target in self.cnames(view).items()}
        active = evolve(view.active, authority_id="another", module_state={"targets": bases})
        return evolve(view, active=active)


@pytest.fixture
def page():
    with CertCore.in_memory(environment=FrozenEnvironment()) as core:
        settings = {"tech_zone": "acme.panel.test", "terms_agreed": True}
        authority = core.authorities.create("acme", module="puq_acme", settings=settings)
        now = core.engine.environment.now()
        request = build_csr(generate_key(KeyType.EC_P256), [DnsName.parse("shop.test")], Subject()).decode()
        pem = LittleAuthority(now).issue(request, now=now)
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
    """While an attempt is open, and when the renewal is due by then; else the next look is about something else."""
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
    unseen = {"name": CNAMES[0], "zone": "acme.panel.test", "missing": "192.0.2.1:53 shows 0 of 1 values"}
    view = page.view
    waiting = evolve(view.issuance, module_state={"stage": "published"}, findings={"unseen": unseen})
    view = evolve(view, issuance=waiting, certificate=evolve(view.certificate, status=status))
    text = page.texts(view)
    assert f"{CNAMES[0]} is not visible in the DNS yet (192.0.2.1:53 shows 0 of 1 values)" in text
    assert "acme.panel.test is delegated" in text
    assert "Nothing is to be done" not in text
    further = evolve(view, issuance=evolve(waiting, module_state={"stage": "answered"}))
    assert "is not visible" not in page.texts(further)


def test_a_renewal_that_could_not_begin_says_why(page):
    """There is no attempt then, and a problem all the same."""
    view = page.view
    problem = Problem(title="This CA profile does not allow wildcards.", advice="Use another one.")
    assert problem.title not in page.texts(view)
    told = evolve(view, certificate=evolve(view.certificate, problem=problem))
    assert f"{problem.title} {problem.advice}" in page.texts(told)


def _steps(page, view):
    return [str(row.title) for one in page.hints(view) if isinstance(one, Steps) for row in one.rows]


@pytest.mark.parametrize("stage", [None, "preflight", "ordered", "published", "answered", "finalizing"])
@pytest.mark.parametrize("challenge", ["dns-01", "dns-persist-01"])
def test_the_timeline_tells_of_the_records_that_there_are(page, challenge, stage):
    """With dns-persist-01 no step speaks of a CNAME or of published values; with dns-01 both do."""
    page.core.authorities.edit(page.view.authority.id, settings={"challenges": challenge})
    page.core.certificates.renew(page.id)
    view = page.view
    state = {"stage": stage, **({} if stage == "preflight" else {"challenge": challenge})} if stage else None
    view = evolve(view, issuance=evolve(view.issuance, module_state=state))
    titles = " ".join(_steps(page, view))
    lasting = challenge == "dns-persist-01"
    assert ("Check the CNAME" in titles, "values published" in titles) == (not lasting, not lasting)
    assert ("Check the TXT record" in titles) == lasting
    (steps,) = [one for one in page.hints(view) if isinstance(one, Steps)][:1]
    assert sum(row.state is StepState.CURRENT for row in steps.rows) == 1


def test_a_short_eab_key_is_told_before_the_ca_refuses_it(page):
    """The CA profile's page names its length and what RFC 7518 asks for; a key of 32 bytes is not worth a word."""
    authority = page.view.authority.id

    def texts(key):
        encoded = base64.urlsafe_b64encode(key).decode().rstrip("=")
        page.core.authorities.edit(authority, settings={"eab_kid": "kid", "eab_hmac_key": encoded})
        return "\n".join(str(one.text) for one in page.core.authorities.hints(authority) if isinstance(one, Notice))

    assert "has 30 bytes; RFC 7518 asks for at least 32" in texts(b"k" * 30)
    assert "RFC 7518" not in texts(b"k" * 32)
