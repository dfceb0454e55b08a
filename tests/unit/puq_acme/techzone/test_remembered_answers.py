"""Answers that are remembered are those that would be made anew, whatever changes in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dns.edns
import dns.message
from hypothesis import given
from hypothesis import strategies as st

from certcore.ports.dns import Zone
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter, AnswerLimits
from certcore_puq_acme.techzone.answers import answer
from certcore_puq_acme.techzone.edns_options import EdnsOptions, ServerCookies
from certcore_puq_acme.techzone.remembered_answers import RememberedAnswers
from support.examples import examples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
APEX = "acme.example.net"
NAMES = (APEX, f"a.{APEX}", f"b.{APEX}", f"deep.b.{APEX}", f"alias.{APEX}", f"ns.{APEX}", "outside.example.org")


class Records:
    """A zone whose records can be set, each time as a new mapping."""

    def __init__(self, apex: str = APEX) -> None:
        host = f"ns.{apex}"
        self.zone = Zone(apex=apex, nameservers=(host,), addresses={host: ("192.0.2.1",)})
        self.names: dict[str, Mapping[str, Sequence[str]]] = {}

    def zones(self) -> Sequence[Zone]:
        return (self.zone,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        return self.names.get(name, {})

    def has_names_below(self, zone: Zone, name: str) -> bool:
        return any(other.endswith(f".{name}") for other in self.names)


RECORDS = st.one_of(
    st.just({}),
    st.lists(st.text("abc", max_size=3), min_size=1, max_size=3).map(lambda values: {"TXT": values}),
    st.sampled_from(NAMES).map(lambda name: {"CNAME": [name]}),
    st.just({"TXT": ["x" * 255] * 3}),
)
QUESTIONS = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(["TXT", "A", "ANY", "CNAME", "SOA"]), st.booleans(), st.integers(0, 3)
)
CHANGES = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(NAMES), RECORDS),
    st.tuples(st.just("ttl"), st.integers(1, 3)),
    st.tuples(st.just("ask"), QUESTIONS),
)


@examples(100)
@given(st.lists(CHANGES, max_size=40), st.integers(1, 40))
def test_a_remembered_answer_is_the_one_that_would_be_made_anew(changes: list[tuple], kept: int) -> None:
    """Records, zones and questions in any order: each answer is octet for octet the one made anew."""
    source, remembered = Records(), RememberedAnswers(kept)
    edns = EdnsOptions(b"one", ServerCookies())
    for identity, change in enumerate(changes):
        if change[0] == "set":
            source.names[change[1]] = change[2]
        elif change[0] == "ttl":
            source.zone = Zone(
                apex=APEX, nameservers=source.zone.nameservers, addresses=source.zone.addresses, ttl=change[1]
            )
        else:
            wire = query(*change[1], identity=identity)
            remembered.use_zones([source])
            shown = answer(wire, [source], now=NOW, edns=edns, address="192.0.2.9", remembered=remembered)
            assert shown == answer(wire, [source], now=NOW, edns=edns, address="192.0.2.9")


def query(name: str, rdtype: str, upper: bool, edns: int, *, identity: int) -> bytes:
    """A query: without EDNS, with it, with a client's cookie, or with a small size."""
    message = dns.message.make_query(name.upper() if upper else name, rdtype)
    message.id = identity
    if edns:
        options = [dns.edns.CookieOption(b"12345678", b"")] if edns == 2 else []
        message.use_edns(payload=512 if edns == 3 else 1232, options=options)
    return message.to_wire()


def test_a_query_that_was_answered_is_not_looked_up_again() -> None:
    """The second answer to a query needs the name's records once, and nothing else of the source."""
    source, remembered = Records(), RememberedAnswers()
    source.names[f"a.{APEX}"] = {"TXT": ["one"]}
    remembered.use_zones([source])
    first = answer(query(f"a.{APEX}", "TXT", False, 1, identity=1), [source], now=NOW, remembered=remembered)
    source.zones = None  # type: ignore[method-assign,assignment]
    second = answer(query(f"a.{APEX}", "TXT", False, 1, identity=2), [source], now=NOW, remembered=remembered)
    assert first is not None
    assert second == b"\0\2" + first[2:]


def test_remembered_answers_are_limited_as_others_are() -> None:
    """Beyond the limit for equal questions a remembered answer is cut to its question, too."""
    source, remembered = Records(), RememberedAnswers()
    source.names[f"a.{APEX}"] = {"TXT": ["one"]}
    limiter = AnswerLimiter(AnswerLimits(equal=3), lambda: 5.0)
    remembered.use_zones([source])
    wire = query(f"a.{APEX}", "TXT", False, 0, identity=1)
    answers = [
        answer(wire, [source], now=NOW, limiter=limiter, address="192.0.2.9", remembered=remembered) for _ in range(5)
    ]
    assert [len(dns.message.from_wire(shown or b"").answer) for shown in answers] == [1, 1, 1, 0, 0]


def test_what_is_remembered_is_bounded() -> None:
    """However many queries come, at most twice the number of answers is kept, and those in use stay."""
    source, remembered = Records(), RememberedAnswers(10)
    source.names |= {f"n{number}.{APEX}": {"TXT": ["one"]} for number in range(100)}
    remembered.use_zones([source])
    used = query(f"n0.{APEX}", "TXT", False, 0, identity=0)
    for number in range(100):
        for wire in (query(f"n{number}.{APEX}", "TXT", False, 0, identity=0), used):
            answer(wire, [source], now=NOW, remembered=remembered)
    kept = [
        number
        for number in range(100)
        if remembered.get(query(f"n{number}.{APEX}", "TXT", False, 0, identity=0), [source]) is not None
    ]
    assert kept[0] == 0
    assert len(kept) <= 20
