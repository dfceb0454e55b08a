"""Obstacles to a renewal, and what the checks of a bench tell of them."""

from certcore.messages import Message
from certcore.model.events import EventKind
from certcore.model.finding import Finding, RecordChange, Severity
from certcore.model.readiness import Obstacle, WhoseTurn
from support.inside import inside

TOLD = (EventKind.RENEWAL_NOT_READY, EventKind.RENEWAL_READY)


def obstacle(code="cname_missing", *, severity=Severity.ERROR, whose_turn=WhoseTurn.OWNER, is_certain=True):
    """What a module finds in the way of a renewal."""
    record = RecordChange(name="_acme-challenge.shop.example", type="CNAME", value="x.acme.example")
    finding = Finding(
        code=code,
        severity=severity,
        name="shop.example",
        cause=Message(f"test.{code}.cause", "The {what} is wrong.", {"what": code}),
        advice=Message(f"test.{code}.advice", "Set it."),
        remedy=(record,),
    )
    return Obstacle(finding=finding, whose_turn=whose_turn, is_certain=is_certain)


UNSURE = obstacle("server_silent", is_certain=False)


def preflight_of(bench, certificate_id):
    """What is stored of the checks of a certificate."""
    with inside(bench.core).storage.read() as transaction:
        return transaction.preflights.get(certificate_id)


def check(bench, certificate_id):
    """Put the clock to the next check, and do it."""
    bench.core.run_preflights()
    bench.environment.set(max(bench.environment.now(), preflight_of(bench, certificate_id).due_at))
    assert bench.core.run_preflights() == 1
    return preflight_of(bench, certificate_id)


def told(bench, certificate_id):
    """What the timeline has of the checks."""
    events = bench.core.certificates.timeline(certificate_id)
    return [
        (event.kind, tuple(entry["code"] for entry in event.data.get("obstacles", ())))
        for event in events
        if event.kind in TOLD
    ]
