"""Checks of a zone writer's TXT values: each is added and removed by itself, and nothing else changes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from certcore.adapters.plugins.hooks import PluginLoadError
from certcore.adapters.plugins.zone_writers import check_zone_writer
from certcore.errors import ZoneWriteError
from certcore.ports.zone_writers import TxtChange, ZoneServer
from certcore.testing.conformance.values import (
    MissingSetupError,
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)
from certcore.testing.conformance.zone_writers.evidence import WriterEvidence

__all__ = ["TXT_VALUES"]

_check: Final = check_of(Suite.ZONE_WRITER)

#: A zone for a call that writes nothing.
_SAMPLE_ZONE: Final = "acme.panel.test"
_MOST_PORTS: Final = 0xFFFF
#: SHA-256 in base64url (RFC 8555 section 8.4), with each of its unusual characters at the beginning and the end.
_ORDER_VALUES: Final = (
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
    "-vaGxfADs6pSRb2LAv9IZf17Dt3juxGJ_PCt92wr_o_",
    "_vaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-o-",
)
_OTHER_VALUES: Final = ('with "quotes" and \\ and ; and blanks ', "x" * 300, "$TTL @ ( )")
_MANY: Final = 20


def _loads(evidence: WriterEvidence) -> None:
    try:
        check_zone_writer("the plugin", evidence.writer)
    except PluginLoadError as error:
        raise RuleBrokenError(f"{error.reason} {error.advice}".strip()) from None


def _servers(evidence: WriterEvidence) -> None:
    zone = evidence.written.zone or _SAMPLE_ZONE
    call = evidence.run("servers", evidence.writer.servers, {}, zone)
    if call.reached:
        raise NotApplicableError("servers tried to use the network.")
    servers: tuple[ZoneServer, ...] = evidence.result(call, tuple[ZoneServer, ...])
    for server in servers:
        require(_is_reachable(server), f"servers returned {server}: a name server is an IP address and a port.")


def _is_reachable(server: ZoneServer) -> bool:
    try:
        ip_address(server.address)
    except ValueError:
        return False
    return 0 < server.port <= _MOST_PORTS


def _servers_offline(evidence: WriterEvidence) -> None:
    evidence.run("servers", evidence.writer.servers, {}, evidence.written.zone or _SAMPLE_ZONE)
    for call in evidence.recorder.of("servers"):
        require(not call.reached, f"servers tried to reach {', '.join(call.reached)[:80]}.")


def _added(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, ["first"])
    evidence.require_shown(name, ["first"], "When write returns,")


def _twice(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, ["first"])
    evidence.put(name, ["first"], when="When a value is added again, ")
    evidence.require_shown(name, ["first"], "After a value was added twice")


def _withdrawn(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, ["first"])
    evidence.put(name, [], ["first"])
    evidence.require_shown(name, [], "When the call that withdraws a value returns,")


def _withdrawn_twice(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, [], ["never"], when="When a value is withdrawn that was never there, ")
    evidence.put(name, ["first"])
    for _ in range(2):
        evidence.put(name, [], ["first"], when="When a value is withdrawn again, ")
    evidence.require_shown(name, [], "After a value was withdrawn twice")


def _no_changes(evidence: WriterEvidence) -> None:
    _ = evidence.zone
    evidence.write(when="Called without a change, ")


def _two_values(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, ["for-the-name", "for-the-wildcard"])
    evidence.require_shown(name, ["for-the-name", "for-the-wildcard"], "After two values were added in one call")


def _by_value(evidence: WriterEvidence) -> None:
    name = evidence.name()
    for values, withdrawn in (
        (["first"], []),
        (["first", "second"], []),
        (["first", "second", "third"], []),
        (["first", "third"], ["second"]),
        (["fourth"], ["first", "third"]),
    ):
        evidence.put(name, values, withdrawn)
        text = f"After {', '.join(values)} was to be there and {', '.join(withdrawn) or 'nothing'} was withdrawn"
        evidence.require_shown(name, values, text)


def _similar_values(evidence: WriterEvidence) -> None:
    name = evidence.name()
    stay = ["aBc-dEf", "abc-def-ghi", "0-abc-def"]
    evidence.put(name, [*stay, "abc-def"])
    evidence.require_shown(name, [*stay, "abc-def"], "After values that differ in case or by their ends were added")
    evidence.put(name, stay, ["abc-def"])
    evidence.require_shown(name, stay, "After the value abc-def was withdrawn")


def _order_values(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, _ORDER_VALUES)
    evidence.require_shown(name, _ORDER_VALUES, "After values as in orders were added")
    evidence.put(name, [], _ORDER_VALUES)
    evidence.require_shown(name, [], "After values as in orders were withdrawn")


def _any_value(evidence: WriterEvidence) -> None:
    for value in _OTHER_VALUES:
        name = evidence.name()
        call = evidence.change(TxtChange(name=name, values=(value,)))
        if isinstance(call.raised, ZoneWriteError):
            evidence.require_shown(name, [], f"After the value {value[:40]!r} was refused")
            continue
        require(call.raised is None, call.failure)
        evidence.require_shown(name, [value], "After a value that is not of an order was added")
        evidence.put(name, [], [value])
        evidence.require_shown(name, [], f"After the value {value[:40]!r} was withdrawn")


def _whole_names(evidence: WriterEvidence) -> None:
    name = evidence.name("a", "b", "_c")
    evidence.put(name, ["deep"])
    evidence.require_shown(name, ["deep"], "At a name with several labels")
    evidence.put(name, [], ["deep"])
    evidence.require_shown(name, [], "At a name with several labels, after the value was withdrawn,")


def _similar_names(evidence: WriterEvidence) -> None:
    name = evidence.name()
    others = [f"below.{name}", f"x{name}", f"{name.split('.', 1)[0]}x.{evidence.zone}"]
    for other in others:
        evidence.put(other, ["value"])
    evidence.put(name, ["value"])
    evidence.put(name, [], ["value"])
    for other in others:
        evidence.require_shown(other, ["value"], f"After a value at {name} came and went, at {other}")


def _other_types(evidence: WriterEvidence) -> None:
    www = f"www.{evidence.zone}"
    has = evidence.written.has
    if has is None or not has(www, "A"):
        raise MissingSetupError(f"It needs `has`, and an A record at {www}.")
    for values, withdrawn in ((["beside"], []), ([], ["beside"])):
        evidence.put(www, values, withdrawn)
        require(
            has(www, "A"), f"The A record at {www} is gone after a TXT value was {'added' if values else 'removed'}."
        )


def _other_values(evidence: WriterEvidence) -> None:
    if evidence.written.replaces:
        raise NotApplicableError("The server can only replace all TXT values of a name.")
    name = evidence.name()
    evidence.put(name, ["theirs"])
    evidence.put(name, ["ours"])
    evidence.put(name, [], ["ours"])
    evidence.require_shown(name, ["theirs"], "After a value was added and withdrawn beside that of somebody else")


def _batch(evidence: WriterEvidence) -> None:
    names = [evidence.name() for _ in range(evidence.written.batch)]
    values = ("first", "second")
    evidence.write(*(TxtChange(name=name, values=values) for name in names))
    for name in names:
        evidence.require_shown(name, values, f"After {len(names)} names were written in one call, at one of them")
    evidence.write(*(TxtChange(name=name, withdrawn=values) for name in names))
    for name in names:
        evidence.require_shown(name, [], f"After {len(names)} names were emptied in one call, at one of them")


def _many_values(evidence: WriterEvidence) -> None:
    name = evidence.name()
    values = [f"value-{number:02d}" for number in range(_MANY)]
    evidence.put(name, values)
    evidence.require_shown(name, values, f"After {_MANY} values were added to one name")
    evidence.put(name, values[:1], values[1:])
    evidence.require_shown(name, values[:1], "After all of them but one were withdrawn")


#: In the order in which they are run.
TXT_VALUES: Final = (
    _check(
        "loads",
        "The writer has a name, one_at_a_time, and the methods of `ZoneWriter` with their arguments.",
        "A writer that is not loaded cannot be chosen in a CA profile.",
        _loads,
    ),
    _check(
        "servers",
        "servers returns the name servers by IP address and port, or nothing.",
        "They are asked whether a value is there before the CA is told.",
        _servers,
        needs=("loads",),
    ),
    _check(
        "servers-offline",
        "servers does not use the network.",
        "It is called where pages are made.",
        _servers_offline,
        needs=("loads",),
    ),
    _check(
        "adds",
        "A value is there when write returns.",
        "The CA is told next, and a value that it does not see fails the order.",
        _added,
        needs=("loads",),
    ),
    _check(
        "adds-twice",
        "A value that is there already is added again without an error, and is there once.",
        "A crash before the success was recorded repeats the call.",
        _twice,
        needs=("adds",),
    ),
    _check(
        "withdraws",
        "A value is gone when the call that withdraws it returns.",
        "Values that stay use up the room at a name, and one day no answer holds them all.",
        _withdrawn,
        needs=("adds",),
    ),
    _check(
        "withdraws-twice",
        "A value that is gone, or never was there, is withdrawn without an error.",
        "A crash before the success was recorded repeats the call, and one before the value came leaves nothing.",
        _withdrawn_twice,
        needs=("withdraws",),
    ),
    _check(
        "no-changes",
        "write without a change is no error.",
        "There may be nothing left to do when it is called.",
        _no_changes,
        needs=("loads",),
    ),
    _check(
        "wildcard-and-base",
        "A name has two values at once when one change has two.",
        "A certificate for a domain and its wildcard is validated with two values at one name.",
        _two_values,
        needs=("adds",),
    ),
    _check(
        "by-value",
        "A name has the values of all orders for it, and each comes and goes by itself.",
        "Two orders for one name run at the same time, and the first to end takes its own value alone.",
        _by_value,
        needs=("adds-twice", "withdraws", "wildcard-and-base"),
    ),
    _check(
        "similar-values",
        "Values that differ in case, or in what stands before or after them, are different values.",
        "Values of orders are case-sensitive.",
        _similar_values,
        needs=("by-value",),
    ),
    _check(
        "order-values",
        "A value of base64url is shown as it was given, also with `-` or `_` at its ends.",
        "These are the values of orders.",
        _order_values,
        needs=("withdraws", "wildcard-and-base"),
    ),
    _check(
        "any-value",
        "Any other value of printable ASCII is shown as it was given, or refused with ZoneWriteError.",
        "A value that arrives changed is a validation that fails without a reason that anybody sees.",
        _any_value,
        needs=("withdraws",),
    ),
    _check(
        "whole-names",
        "A name with several labels below the zone is written as a whole.",
        "Labels of owners are below others, and begin with an underscore where customers' zones are written to.",
        _whole_names,
        needs=("withdraws",),
    ),
    _check(
        "similar-names",
        "Names below a name, and those that begin or end like it, keep their values.",
        "They belong to other customers.",
        _similar_names,
        needs=("withdraws", "whole-names"),
    ),
    _check(
        "other-types",
        "Records of other types at the name stay.",
        "The zone may have more in it than validations.",
        _other_types,
        needs=("withdraws",),
    ),
    _check(
        "other-values",
        "Values that the writer was not told of stay, where the server adds and removes single values.",
        "Another ACME client may use the name.",
        _other_values,
        needs=("by-value",),
    ),
    _check(
        "batch",
        "One call writes as many names as `MOST_CHANGES` says.",
        "Many certificates are renewed at the same time.",
        _batch,
        needs=("withdraws", "wildcard-and-base"),
    ),
    _check(
        "many-values",
        f"A name has {_MANY} values at once.",
        "A name that many certificates share is in many orders.",
        _many_values,
        needs=("by-value",),
    ),
)
