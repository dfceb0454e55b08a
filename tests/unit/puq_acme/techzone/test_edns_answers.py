"""EDNS: what the name server answers, how large answers may be, and its cookies."""

from __future__ import annotations

from datetime import datetime, timedelta

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter, AnswerLimits
from certcore_puq_acme.techzone.answers import answer
from certcore_puq_acme.techzone.edns_options import EdnsOptions, ServerCookies
from support.zone_questions import LABEL, NOW, QUERY, SOURCES, ask, texts


def test_edns_is_answered_only_when_spoken() -> None:
    """OPT is echoed with our size and the DO bit; unknown options are ignored; without OPT there is none."""
    plain = ask(dns.message.make_query(LABEL, "TXT"))
    assert plain.edns == -1
    option = dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"hello")
    reply = ask(dns.message.make_query(LABEL, "TXT", use_edns=0, payload=4096, want_dnssec=True, options=[option]))
    assert reply.edns == 0
    assert reply.payload == 1232
    assert reply.ednsflags == dns.flags.DO
    assert not reply.options
    assert texts(reply) == ["one", "two"]


def test_an_unknown_edns_version_is_refused_politely() -> None:
    """BADVERS in the OPT record, our version in it, and no data (RFC 6891 section 6.1.3)."""
    reply = ask(dns.message.make_query(LABEL, "TXT", use_edns=1))
    assert reply.rcode() == dns.rcode.BADVERS
    assert reply.edns == 0
    assert not reply.answer


@pytest.mark.parametrize(("payload", "limit"), [(None, 512), (100, 512), (512, 512), (900, 900), (65535, 1232)])
def test_a_large_answer_is_truncated_over_udp_and_whole_over_tcp(payload: int | None, limit: int) -> None:
    """Over UDP: at most what the client takes and 1232, else TC and no records; over TCP: everything."""
    for count in range(1, 40):
        zone = MemoryZone("acme.example.net")
        zone.set(LABEL, "TXT", *(f"{number:043d}" for number in range(count)))
        query = (
            dns.message.make_query(LABEL, "TXT")
            if payload is None
            else dns.message.make_query(LABEL, "TXT", use_edns=0, payload=payload)
        )
        whole = answer(query.to_wire(), [zone], now=NOW, tcp=True)
        short = answer(query.to_wire(), [zone], now=NOW)
        assert whole is not None
        assert short is not None
        assert len(texts(dns.message.from_wire(whole))) == count
        reply = dns.message.from_wire(short)
        if len(whole) <= limit:
            assert short == whole
        else:
            assert reply.flags & dns.flags.TC
            assert not reply.answer
            assert len(short) <= 512
            assert (reply.edns == 0) == (payload is not None)


def test_an_answer_over_64_kib_is_truncated_even_over_tcp() -> None:
    """Two octets of length are all that TCP has."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", *(f"{number:0250d}" for number in range(300)))
    reply = ask(dns.message.make_query(LABEL, "TXT"), sources=[zone], tcp=True)
    assert reply.flags & dns.flags.TC


def test_a_server_says_which_one_it_is_when_asked() -> None:
    """NSID (RFC 5001): in answers to those who ask, also in refusals; a server may keep it to itself."""
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    for name in (LABEL, "example.org"):
        query = dns.message.make_query(name, "TXT", use_edns=0, options=[nsid])
        wire = answer(query.to_wire(), SOURCES, now=NOW, edns=EdnsOptions(b"dns-7"))
        assert wire is not None
        (option,) = dns.message.from_wire(wire).options
        assert option.otype == dns.edns.OptionType.NSID
        assert option.to_wire() == b"dns-7"
        assert not ask(query).options
    unasked = answer(
        dns.message.make_query(LABEL, "TXT", use_edns=0).to_wire(), SOURCES, now=NOW, edns=EdnsOptions(b"dns-7")
    )
    assert unasked is not None
    assert not dns.message.from_wire(unasked).options


COOKIES = EdnsOptions(cookies=ServerCookies(b"s" * 16))
CLIENT = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def with_cookie(cookie: bytes) -> dns.message.Message:
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)
    return dns.message.make_query(LABEL, "TXT", use_edns=0, options=[option])


def cookie_of(wire: bytes | None) -> bytes:
    assert wire is not None
    (option,) = dns.message.from_wire(wire).options
    data = option.to_wire()
    assert data is not None
    return data


def test_a_client_that_shows_our_cookie_is_not_limited() -> None:
    """Its address is not forged (RFC 7873 section 5.2.5); a cookie of another address, or an old one, is nothing."""
    limiter = AnswerLimiter(AnswerLimits(equal=1), lambda: 0.0)

    def asked(query: dns.message.Message, address: str, at: datetime = NOW) -> bytes | None:
        return answer(query.to_wire(), SOURCES, now=at, limiter=limiter, address=address, edns=COOKIES)

    cookie = cookie_of(asked(with_cookie(CLIENT), "192.0.2.7"))
    assert cookie[:8] == CLIENT
    assert len(cookie) == 24
    for _ in range(5):
        assert cookie_of(asked(with_cookie(cookie), "192.0.2.7")) == cookie
    for query, address, at in (
        (with_cookie(cookie), "192.0.2.8", NOW),
        (with_cookie(cookie), "192.0.2.7", NOW + timedelta(hours=2)),
        (with_cookie(b"x" * 8 + cookie[8:]), "192.0.2.7", NOW),
        (with_cookie(CLIENT), "192.0.2.7", NOW),
    ):
        cut = asked(query, address, at)
        assert cut is not None
        assert dns.message.from_wire(cut).flags & dns.flags.TC
        assert len(cut) <= len(query.to_wire())


@pytest.mark.parametrize("length", [1, 7, 9, 15, 41])
def test_a_cookie_of_a_wrong_length_is_malformed(length: int) -> None:
    """RFC 7873 section 5.2.2."""
    wire = answer(with_cookie(b"c" * length).to_wire(), SOURCES, now=NOW, edns=COOKIES)
    assert wire is not None
    assert wire[3] & 0xF == dns.rcode.FORMERR


def test_a_client_may_ask_for_a_cookie_alone() -> None:
    """RFC 7873 section 5.4: a query without a question."""
    query = with_cookie(CLIENT)
    query.question = []
    wire = answer(query.to_wire(), SOURCES, now=NOW, edns=COOKIES)
    assert cookie_of(wire)[:8] == CLIENT
    assert wire is not None
    assert wire[3] & 0xF == dns.rcode.NOERROR


@pytest.mark.parametrize("section", [3, 4])
def test_an_opt_record_outside_of_the_additional_section_is_malformed(section: int) -> None:
    """RFC 6891 section 6.1.1."""
    wire = bytearray(QUERY)
    wire[2 * section + 1], wire[11] = 1, 0
    reply = answer(bytes(wire), SOURCES, now=NOW)
    assert reply is not None
    assert reply[3] & 0xF == dns.rcode.FORMERR
