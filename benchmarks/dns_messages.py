"""CPU time of the embedded name server for one query, beside dnspython's message classes.

    python benchmarks/dns_messages.py [--queries 20000]

A query for the TXT records of a name is parsed and answered with two of them, in one thread, without sockets:
`certcore_puq_acme.techzone.wire` against `dns.message.from_wire`, `make_response` and `to_wire`. An open UDP port
gets such queries from anybody: the rate is what one core withstands before real queries of CAs are lost.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rrset

from certcore_puq_acme.techzone.wire import AnswerWriter, read_query

_NAME = "0123456789abcdef0123456789abcdef.acme.panel.example"
_VALUES = ("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "gfj9Xq4rNo3tiAXDfowyjxAjEuX0LoqXcYV8q5ONbJQ")
_ROUNDS = 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--queries", type=int, default=20000)
    count = options.parse_args().queries
    query = dns.message.make_query(_NAME, "TXT", use_edns=0, payload=1232).to_wire()
    ours, theirs = _rate(_certcore, query, count), _rate(_dnspython, query, count)
    print(f"certcore   {ours:8.0f} queries per second of CPU")
    print(f"dnspython  {theirs:8.0f} queries per second of CPU")
    print(f"ratio {ours / theirs:.1f}")


def _rate(answer: Callable[[bytes], bytes], query: bytes, count: int) -> float:
    found = dns.message.from_wire(answer(query)).answer[0]
    if {value.to_text().strip('"') for value in found} != set(_VALUES):
        raise SystemExit("an answer is wrong")
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(count // _ROUNDS):
            answer(query)
        best = min(best, time.thread_time() - begun)
    return count // _ROUNDS / best


def _certcore(wire: bytes) -> bytes:
    query = read_query(wire)
    writer = AnswerWriter(query, limit=1232)
    writer.add_answers(_NAME, "TXT", 60, _VALUES)
    return writer.finish(0, authoritative=True)


def _dnspython(wire: bytes) -> bytes:
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query, our_payload=1232)
    reply.flags |= dns.flags.AA
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", *_VALUES))
    return reply.to_wire(max_size=1232)


if __name__ == "__main__":
    main()
