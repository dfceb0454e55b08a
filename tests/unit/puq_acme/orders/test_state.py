"""What an attempt remembers and has seen: what older versions stored is read, and nothing that is stored raises."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore import Status
from certcore.engine.step_validation import sound_step
from certcore.model.hints import Notice
from certcore_puq_acme.hints.certificate import right_column
from certcore_puq_acme.module import PuqAcme
from certcore_puq_acme.orders.state import Findings, OrderState, Stage
from support.examples import examples
from support.inside import inside
from support.simulation.simulated_world import SimulatedNetwork, World

DATA = Path(__file__).parents[3] / "data" / "attempt_states"
ROWS = [json.loads(line) for path in sorted(DATA.glob("*.jsonl")) for line in path.read_text().splitlines()]
#: Rows of an order for one name that is not completed.
IN_FLIGHT = [row for row in ROWS if len(row["state"].get("authorizations", ())) == 1 and "chain" not in row["state"]]

#: What no version stores where it stands.
STRANGE = [
    None,
    True,
    -1,
    7,
    10**30,
    1.5,
    float("inf"),
    "",
    "x" * 10_000,
    "\ud800\x00\u202e",
    "published",
    "12345678901234567890",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+23:59",
    "2030-01-01T00:00:00",
    "https://elsewhere.test/",
    "a b/c..*",
    [],
    [None, 7, ["x"], {"base": "x"}],
    {},
    {"": None, "x": "y", "12": 10**30},
]
SMALL = [row for row in ROWS if len(json.dumps(row)) < 2000]


def _broken(document, random):
    """The document with other things in place of about a fifth of its members, at any depth."""
    if random.random() < 0.2:
        return random.choice(STRANGE)
    if isinstance(document, dict):
        return {name: _broken(member, random) for name, member in document.items() if random.random() < 0.9}
    return [_broken(member, random) for member in document] if isinstance(document, list) else document


def broken(part):
    """A stored state, or stored findings, in which much is not as any version stores it."""

    def make(random):
        document = random.choice(SMALL)[part] or {}
        return {name: _broken(member, random) for name, member in document.items()}

    return st.randoms(use_true_random=True).map(make)


#: What a member says when it is left out.
_DEFAULTS = (None, "", 0, False, {}, [], "CNAME", "in_flight")


def _without_empty(document):
    """A document without the members that may be left out."""
    if isinstance(document, dict):
        return {name: _without_empty(member) for name, member in document.items() if member not in _DEFAULTS}
    return [_without_empty(member) for member in document] if isinstance(document, list) else document


def _contains(document, part):
    """Whether each member of a part is in a document, at the same place."""
    if isinstance(part, dict):
        return isinstance(document, dict) and all(
            name in document and _contains(document[name], member) for name, member in part.items()
        )
    if isinstance(part, list):
        return len(part) == len(document) and all(map(_contains, document, part))
    return document == part


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_what_an_older_version_stored_is_read_to_the_last_member(row):
    """Each member that says something is in what would be stored now."""
    state, findings = OrderState.read(row["state"]).to_json(), Findings.read(row["findings"]).to_json()
    assert _contains(state, _without_empty(row["state"])), state
    stored = _without_empty(row["findings"] or {})
    if unseen := stored.pop("unseen", None):  # it was kept in other words
        (shown,) = [str(seen.finding()) for seen in Findings.read(row["findings"]).unseen]
        assert all(word in shown for word in (unseen["name"], unseen["zone"], *unseen["missing"].split(" shows ")))
    assert _contains(findings, stored), findings


@define
class Bench:
    """A certificate with an issuance in work, and what its CA module gets."""

    world: World
    id: str

    @property
    def view(self):
        return self.world.core.certificates.view(self.id)

    @property
    def module(self):
        return PuqAcme(network=SimulatedNetwork(self.world.ca, self.world.dns))

    def work(self, state, findings=None):
        view = self.view
        issuance = evolve(view.issuance, module_state=state, findings=findings)
        contexts = inside(self.world.core).contexts
        return contexts.work(view.authority, view.certificate, issuance, active=view.active)[1]

    def stage(self):
        return OrderState.of(self.view.issuance).stage

    def step(self):
        due = self.view.schedule.due_at
        self.world.environment.set(max(due, self.world.environment.now()))
        engine = inside(self.world.core).engine
        for schedule in engine.claim_due(50):
            engine.step(engine.load(schedule), keep_lease=False)

    def drive_to(self, stage):
        """Until an issuance is in a stage; values are not visible on the way to it where they must not be."""
        sources = self.world.dns.sources
        if stage is Stage.PUBLISHED:
            self.world.dns.sources = sources[1:]
        for _ in range(20):
            if self.stage() is stage:
                break
            self.step()
        assert self.stage() is stage
        self.world.dns.sources = sources

    def store(self, state, findings):
        with inside(self.world.core).storage.write() as transaction:
            issuance = transaction.issuances.get(self.view.issuance.id)
            transaction.issuances.save(evolve(issuance, module_state=state, findings=findings))


@pytest.fixture
def bench():
    world = World()
    yield Bench(world, world.request("a.shop.test"))
    world.close()


@pytest.fixture(scope="module")
def shared():
    """A bench for many examples."""
    world = World()
    yield Bench(world, world.request("a.shop.test"))
    world.close()


#: What another run of the simulated CA calls differently.
_OF_A_RUN = ("order", "authorizations", "certificate", "account", "account_url", "targets")


@pytest.mark.parametrize("row", IN_FLIGHT, ids=range(len(IN_FLIGHT)))
def test_an_order_that_an_older_version_placed_goes_on(bench, row):
    """From each shape of state, with trouble and requests counted, the certificate becomes active with that order."""
    bench.drive_to(Stage(row["state"]["stage"]))
    live = bench.view.issuance.module_state
    state = {**row["state"], **{name: live[name] for name in _OF_A_RUN if name in live}}
    if "challenges" in state:
        state["challenges"] = live["challenges"]
    bench.store(state, row["findings"])
    bench.world.run(bench.world.environment.now() + timedelta(days=1), [bench.id])
    assert bench.world.get(bench.id).status is Status.ACTIVE
    assert OrderState.of(bench.view.active).order == live["order"]
    assert not [one for one in bench.world.ca.asked if one.kind == "newOrder"][1:]


@examples(200)
@given(broken("state"))
def test_no_stored_state_is_too_broken_to_be_read(document):
    """Whatever is stored is read, and what is read is plain JSON that is read as the same again."""
    state = OrderState.read(document)
    stored = json.loads(json.dumps(state.to_json()))
    assert OrderState.read(stored) == state
    assert OrderState.read(stored).resumed().order or not state.resumed().stage.has_order


@examples(200)
@given(broken("findings"))
def test_no_stored_findings_are_too_broken_to_be_read(document):
    """The same for what was seen."""
    findings = Findings.read(document)
    assert Findings.read(json.loads(json.dumps(findings.to_json()))) == findings


@examples(200)
@given(broken("state"), broken("findings"))
def test_a_broken_state_keeps_no_page_from_being_shown(shared, state, findings):
    """The right column is made, with the attempt's steps, whatever is stored of the attempt and of the leaf."""
    view, context = shared.view, shared.work(None)
    broken_one = evolve(view.issuance, module_state=state, findings=findings)
    for status in (Status.PENDING, Status.PROCESSING, Status.ACTIVE, Status.ERROR):
        certificate = evolve(view.certificate, status=status, not_after=view.now)
        hints = right_column(evolve(view, certificate=certificate, issuance=broken_one, active=broken_one), context)
        assert [str(hint.text).encode() for hint in hints if isinstance(hint, Notice)]


@examples(200)
@given(broken("state"), broken("findings"))
def test_a_broken_state_is_gone_on_from(shared, state, findings):
    """The next step is a step that can be stored, and what the attempt held is given back."""
    work = shared.work(state, findings)
    assert sound_step(shared.module.advance(work))
    shared.module.clean_up(work)
