"""From observations to findings and states: whatever was seen, the rules hold."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from certcore import CertCore
from certcore.model.finding import Severity
from certcore.model.hints import RecordState
from certcore_puq_acme.dns.classification import checked_cname
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.observations import CnameObservation, Hop, ResolverShown, ServerState, Shown, shown
from certcore_puq_acme.dns.port import Answer
from certcore_puq_acme.dns.zones import FoundZone, ServerAddress
from certcore_puq_acme.orders.state import Findings, SeenFinding, SeenRecord
from certcore_puq_acme.orders.stored_fields import from_json, to_json
from support.examples import examples

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NAME, TARGET = "_acme-challenge.shop.test", "k3vq.acme.panel.test"
TARGETS = [TARGET, "", "other.test", "k3vq.old.test", "zz.acme.panel.test", f"{TARGET}.shop.test", NAME]
RECORDS = st.sampled_from(["TXT a", "A 8.8.8.8", "CNAME other.test"])


@st.composite
def observations(draw):
    """Anything that a check could have seen."""
    states = draw(st.lists(st.sampled_from(ServerState), max_size=4))
    servers = [ServerAddress(f"ns{number}.shop.test", f"8.0.0.{number}") for number in range(len(states))]
    seen = [
        Shown(
            server=str(server),
            state=state,
            detail="x" if state is not ServerState.ANSWERS else "",
            exists=draw(st.booleans()),
            cname=draw(st.sampled_from(TARGETS)) if state is ServerState.ANSWERS else "",
        )
        for server, state in zip(servers, states, strict=True)
    ]
    apex = draw(st.sampled_from(["shop.test", "test", "", NAME]))
    zone = FoundZone(apex=apex, parent="test", hosts=tuple(one.host for one in servers), servers=tuple(servers))
    is_broken = draw(st.booleans())
    resolver = st.builds(
        ResolverShown,
        server=st.just("8.8.8.8"),
        state=st.sampled_from(ServerState),
        detail=st.just("x"),
        chain=st.lists(st.sampled_from(TARGETS[:1] + TARGETS[2:]), max_size=2).map(tuple),
        ttl=st.integers(0, 10**6),
        is_bogus=st.booleans(),
        invented=st.sampled_from(["", "A 8.8.8.8"]),
    )
    return CnameObservation(
        base="shop.test",
        name=NAME,
        expected=TARGET,
        tech_zone="acme.panel.test",
        registered="shop.test",
        zone=zone,
        missing=draw(st.sampled_from(["", NAME, "shop.test"])),
        broken=tuple(seen) if is_broken else (),
        is_broken=is_broken,
        is_direct=draw(st.booleans()),
        hops=() if is_broken else (Hop(name=NAME, zone=zone, shown=tuple(seen)),),
        at_name=tuple(draw(st.lists(RECORDS, max_size=2))),
        wildcard=tuple(draw(st.lists(RECORDS, max_size=2))),
        doubled_at=draw(st.sampled_from(["", f"{NAME}.shop.test"])),
        at_domain=draw(st.booleans()),
        resolvers=tuple(draw(st.lists(resolver, max_size=2))),
    )


@given(observations())
@examples(60)
def test_a_state_has_a_reason(observation):
    """A record is correct exactly when no finding is an error; the most severe comes first; every code is known."""
    record = checked_cname(observation, NOW)
    errors = [one for one in record.findings if one.severity is Severity.ERROR]
    assert (record.state is RecordState.CORRECT) == (not errors)
    assert [one.severity.rank for one in record.findings] == sorted(one.severity.rank for one in record.findings)
    assert all(DnsCode(one.code) and str(one).strip() for one in record.findings)


@given(observations())
@examples(60)
def test_no_record_is_correct_that_nobody_shows(observation):
    """Somebody whom we asked shows the target at the end; and no server that answers shows anything else."""
    record = checked_cname(observation, NOW)
    if record.state is not RecordState.CORRECT:
        return
    answering = [one for hop in observation.hops for one in hop.shown if one.answers]
    if observation.is_direct and answering:
        assert {one.cname for one in answering} == {TARGET}
    else:
        assert observation.resolvers
        assert all(one.chain[-1:] == (TARGET,) for one in observation.resolvers)


@given(observations())
@examples(60)
def test_what_is_stored_says_the_same(observation):
    """Findings that come back from the database have the texts that they had, with what can be translated in them."""
    record = checked_cname(observation, NOW)
    kept = SeenRecord(
        name=record.name,
        target=record.target,
        state=record.state,
        seen=record.seen,
        findings=tuple(SeenFinding.of(found) for found in record.findings),
    )
    (back,) = from_json(Findings, json.loads(json.dumps(to_json(Findings(records=(kept,)))))).records
    assert back.seen == record.seen
    for found, stored in zip(record.findings, back.findings, strict=True):
        assert str(stored.finding()) == str(found)
        assert stored.finding().seen == found.seen


def test_what_servers_were_seen_to_do_is_translated():
    """In a German page nothing of a finding is English, what each server answered included."""
    answers = [Answer(rcode="SERVFAIL", extended_error="No Reachable Authority"), Answer(rcode="REFUSED")]
    servers = [ServerAddress(f"ns{number}.shop.test", f"8.0.0.{number}") for number in (1, 2)]
    zone = FoundZone(apex="shop.test", parent="test", servers=tuple(servers))
    seen = tuple(shown(str(server), NAME, answer) for server, answer in zip(servers, answers, strict=True))
    hop = Hop(name=NAME, zone=zone, shown=seen)
    record = checked_cname(
        CnameObservation(
            base="shop.test",
            name=NAME,
            expected=TARGET,
            tech_zone="acme.panel.test",
            registered="shop.test",
            hops=(hop,),
        ),
        NOW,
    )
    with CertCore.in_memory() as core:
        german = core.translator("de")
        texts = [german(found.cause) for found in record.findings]
        assert "(er antwortete SERVFAIL (No Reachable Authority))" in " ".join(texts)
        assert "(er antwortete REFUSED)" in " ".join(texts)
        assert german(record.seen) == "ns1.shop.test (8.0.0.1): er antwortete SERVFAIL (No Reachable Authority)"
