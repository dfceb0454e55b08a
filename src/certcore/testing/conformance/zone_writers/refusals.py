"""Checks of a zone writer's errors, of its secrets, and of its recovery.

They are run last: a writer that does not work after a failure would fail every other check.
"""

from __future__ import annotations

from typing import Final

from certcore.errors import CertCoreError
from certcore.ports.zone_writers import TxtChange
from certcore.testing.conformance.values import Suite, check_of, require
from certcore.testing.conformance.zone_writers.evidence import WriterEvidence

__all__ = ["REFUSALS"]

_check: Final = check_of(Suite.ZONE_WRITER, needs=("withdraws",))


def _foreign_change(evidence: WriterEvidence) -> TxtChange:
    return TxtChange(name=f"label.{evidence.foreign_zone}", values=("value",))


def _foreign_zone(evidence: WriterEvidence) -> None:
    zone = evidence.foreign_zone
    evidence.refusal(_foreign_change(evidence), f"A value in {zone}, which the server does not have,", zone=zone)


def _refusal_words(evidence: WriterEvidence) -> None:
    zone = evidence.foreign_zone
    error = evidence.refusal(_foreign_change(evidence), "A value in another zone", zone=zone)
    require(error.server and error.server in error.message, f"{error.message!r} does not name the server.")
    require(error.zone == zone, f"The error names the zone {error.zone!r}, not {zone!r}.")
    require(error.advice, f"{error.message!r} does not say what to do: give the error an advice.")


def _outside(evidence: WriterEvidence) -> None:
    foreign = evidence.written.foreign_zone or "elsewhere.test"
    for name in (f"label.x{evidence.zone}", f"label.{foreign}"):
        evidence.refusal(TxtChange(name=name, values=("value",)), f"{name}, which is not in {evidence.zone},")


def _after_refusal(evidence: WriterEvidence) -> None:
    zone = evidence.foreign_zone
    evidence.change(_foreign_change(evidence), zone=zone)
    name = evidence.name()
    evidence.put(name, ["after"], when="After a call that was refused, ")
    evidence.require_shown(name, ["after"], "After a call that was refused")


def _server_down(evidence: WriterEvidence) -> None:
    change = TxtChange(name=evidence.name(), values=("value",))
    with evidence.server_down():
        error = evidence.refusal(change, "While the server is down, a value")
    require(
        error.server in error.message and error.advice, f"{error.message!r} does not say which server, and what to do."
    )


def _after_server_down(evidence: WriterEvidence) -> None:
    name = evidence.name()
    evidence.put(name, ["before"])
    with evidence.server_down():
        evidence.change(TxtChange(name=name, values=("after", "before")))
    evidence.put(name, ["after", "before"], when="When the server is there again, ")
    evidence.require_shown(name, ["after", "before"], "When the server is there again,")


def _secret_reprs(evidence: WriterEvidence) -> None:
    for secret in evidence.secrets:
        for text in (repr(evidence.writer), str(evidence.writer)):
            require(secret not in text, "A secret of the writer is in its repr: keep it as a Secret, or repr=False.")


def _secret_errors(evidence: WriterEvidence) -> None:
    texts = []
    secrets = evidence.secrets
    if not any(call.raised for call in evidence.calls) and evidence.foreign_zone:
        evidence.change(_foreign_change(evidence), zone=evidence.foreign_zone)
    for call in evidence.calls:
        error = call.raised
        while error is not None:
            texts += [str(error), repr(error)]
            if isinstance(error, CertCoreError):
                texts += [error.message, error.advice, repr(error.as_dict())]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for secret in secrets:
        require(not any(secret in text for text in texts), "A secret of the writer is in an error.")


def _secret_log(evidence: WriterEvidence) -> None:
    for secret in evidence.secrets:
        require(not any(secret in text for text in evidence.log), "A secret of the writer is in the log.")


#: In the order in which they are run.
REFUSALS: Final = (
    _check(
        "foreign-zone",
        "A zone that the server does not have is refused with ZoneWriteError.",
        "A mistyped zone would look like a CA that does not see values.",
        _foreign_zone,
    ),
    _check(
        "refusal-words",
        "A refusal names the server and the zone, and says what to do.",
        "It is all that the administrator gets to read.",
        _refusal_words,
        needs=("foreign-zone",),
    ),
    _check(
        "outside-names",
        "A name that is not in the zone is refused with ZoneWriteError.",
        "It would be written into another customer's zone, or at another name.",
        _outside,
    ),
    _check(
        "after-refusal",
        "After a call that was refused, the next one works.",
        "One wrong zone would stop the validation of all others.",
        _after_refusal,
    ),
    _check(
        "secret-reprs",
        "The repr of the writer shows no secret.",
        "Reprs end up in logs and error reports.",
        _secret_reprs,
        needs=("loads",),
    ),
    _check(
        "secret-errors",
        "No error of the writer has a secret, nor has one behind it.",
        "Errors are stored, logged and shown.",
        _secret_errors,
    ),
    _check(
        "secret-log",
        "Nothing that is logged while the writer works has a secret, debug messages included.",
        "Logs are read by more people than may change the zone.",
        _secret_log,
    ),
    _check(
        "server-down",
        "While the server cannot be reached, write raises ZoneWriteError, which names it and says what to do.",
        "Servers are restarted, and networks fail.",
        _server_down,
    ),
    _check(
        "after-server-down",
        "When the server can be reached again, the same call works.",
        "A connection that is kept would have to be replaced by hand.",
        _after_server_down,
        needs=("server-down", "after-refusal", "by-value"),
    ),
)
