"""Checks of a zone writer that sets the CNAMEs of customers' domains, too."""

from __future__ import annotations

from typing import Final

from certcore.ports.zone_writers import CnameOutcome
from certcore.testing.conformance.values import Suite, check_of, require
from certcore.testing.conformance.zone_writers.evidence import WriterEvidence

__all__ = ["CNAMES"]

_check: Final = check_of(Suite.ZONE_WRITER, needs=("withdraws",))


def _name(evidence: WriterEvidence) -> str:
    """A new name as that of a domain's CNAME.

    Raises:
        NotApplicableError: The writer sets no CNAMEs.
        MissingSetupError: Nothing shows which are there.
    """
    evidence.need_cnames()
    return evidence.name("_acme-challenge")


def _set(evidence: WriterEvidence, name: str, target: str) -> None:
    change = evidence.set_cname(name, target)
    require(change.outcome is CnameOutcome.SET, f"At a name with no record, set_cname says {change.outcome}.")


def _zone_of(evidence: WriterEvidence) -> None:
    name = _name(evidence)
    for subject in (name, f"x.{name}", f"_acme-challenge.www.{evidence.zone}"):
        hosted = evidence.look_up(subject)
        zone = "no zone" if hosted is None else hosted.zone
        require(zone == evidence.zone, f"look_up of {subject} finds {zone}, not {evidence.zone}.")
        require(hosted is None or not hosted.target, f"look_up of {subject} finds a CNAME where there is none.")


def _foreign(evidence: WriterEvidence) -> None:
    evidence.need_cnames()
    name = f"_acme-challenge.shop.{evidence.foreign_zone}"
    hosted = evidence.look_up(name)
    require(hosted is None, f"look_up of {name} finds a zone that the server does not have.")


def _set_and_shown(evidence: WriterEvidence) -> None:
    name, target = _name(evidence), f"label.{evidence.zone}"
    _set(evidence, name, target)
    require(evidence.cname(name) == target, f"When set_cname returns, the server shows {evidence.cname(name)!r}.")
    hosted = evidence.look_up(name)
    current = "" if hosted is None else hosted.target
    require(current == target, f"look_up finds the target {current!r}, not {target!r}.")


def _set_twice(evidence: WriterEvidence) -> None:
    name, target = _name(evidence), f"label.{evidence.zone}"
    _set(evidence, name, target)
    outcome = evidence.set_cname(name, target).outcome
    require(outcome is CnameOutcome.PRESENT, f"Called again, set_cname says {outcome}, not {CnameOutcome.PRESENT}.")
    require(evidence.cname(name) == target, "A CNAME that is set again is not there any more.")


def _removed(evidence: WriterEvidence) -> None:
    name, target = _name(evidence), f"label.{evidence.zone}"
    _set(evidence, name, target)
    for _ in range(2):
        evidence.remove_cname(name, target)
        require(not evidence.cname(name), "A CNAME that was removed is still there.")
    _set(evidence, name, f"other.{evidence.zone}")


def _elsewhere(evidence: WriterEvidence) -> None:
    name = _name(evidence)
    target = f"label.acme.{evidence.written.foreign_zone or 'elsewhere.test'}"
    _set(evidence, name, target)
    shown = evidence.cname(name)
    require(shown == target, f"The CNAME points to {shown!r}, not to {target!r}.")


def _not_replaced(evidence: WriterEvidence) -> None:
    name, theirs = _name(evidence), f"theirs.{evidence.zone}"
    _set(evidence, name, theirs)
    change = evidence.set_cname(name, f"ours.{evidence.zone}")
    require(evidence.cname(name) == theirs, "set_cname replaced the CNAME of somebody else.")
    is_told = change.outcome is CnameOutcome.OCCUPIED and theirs in change.seen
    require(is_told, f"Where another CNAME is, set_cname says {change.outcome} and {change.seen!r}.")


def _not_removed(evidence: WriterEvidence) -> None:
    name, theirs = _name(evidence), f"theirs.{evidence.zone}"
    _set(evidence, name, theirs)
    evidence.remove_cname(name, f"ours.{evidence.zone}")
    require(evidence.cname(name) == theirs, "remove_cname removed the CNAME of somebody else.")


def _beside(evidence: WriterEvidence) -> None:
    name, target = _name(evidence), f"ours.{evidence.zone}"
    evidence.put(name, ["theirs"])
    outcome = evidence.set_cname(name, target).outcome
    is_right = outcome is CnameOutcome.OCCUPIED and not evidence.cname(name)
    require(is_right, f"Where a TXT record is, set_cname says {outcome}.")
    evidence.remove_cname(name, target)
    evidence.require_shown(name, ["theirs"], "After a CNAME was to be set and removed at a name with a TXT value")


def _above(evidence: WriterEvidence) -> None:
    name = _name(evidence)
    evidence.put(f"below.{name}", ["stays"])
    _set(evidence, name, f"ours.{evidence.zone}")
    evidence.remove_cname(name, f"ours.{evidence.zone}")
    evidence.require_shown(f"below.{name}", ["stays"], "After a CNAME came and went at the name above")


#: In the order in which they are run.
CNAMES: Final = (
    _check(
        "cname-zone",
        "look_up finds the zone of a name, whether or not a record is there.",
        "It decides whether the owner has to set the record, or certcore does.",
        _zone_of,
    ),
    _check(
        "cname-foreign",
        "look_up of a name in no zone of the server returns None.",
        "certcore would wait for a record that nobody sets.",
        _foreign,
    ),
    _check(
        "cname-sets",
        "A CNAME is there when set_cname returns, and look_up finds it.",
        "The order begins next.",
        _set_and_shown,
    ),
    _check(
        "cname-sets-twice",
        "set_cname of a CNAME that is there already returns PRESENT.",
        "Only what certcore has set itself is removed later.",
        _set_twice,
        needs=("cname-sets",),
    ),
    _check(
        "cname-removes",
        "A CNAME is gone when remove_cname returns, and removing it again is harmless.",
        "A record that stays lets certificates be issued for a domain that has moved away.",
        _removed,
        needs=("cname-sets",),
    ),
    _check(
        "cname-elsewhere",
        "The target may be in another zone, and is shown as it was given.",
        "The tech zone need not be in the zone of the domain.",
        _elsewhere,
        needs=("cname-sets",),
    ),
    _check(
        "cname-not-replaced",
        "Where another CNAME is, set_cname returns OCCUPIED, says what it saw, and changes nothing.",
        "The zone is a customer's.",
        _not_replaced,
        needs=("cname-sets",),
    ),
    _check(
        "cname-not-removed",
        "remove_cname removes the CNAME with this target, and no other one.",
        "The owner may have set another one meanwhile.",
        _not_removed,
        needs=("cname-sets",),
    ),
    _check(
        "cname-beside",
        "Where a record of another type is, set_cname returns OCCUPIED and changes nothing.",
        "A CNAME beside other records breaks the zone (RFC 1034 section 3.6.2).",
        _beside,
        needs=("withdraws", "whole-names", "cname-sets"),
    ),
    _check(
        "cname-above",
        "A name that exists only because others are below it is free for a CNAME.",
        "Wildcards and subdomains of a customer have names below.",
        _above,
        needs=("withdraws", "whole-names", "cname-removes"),
    ),
)
