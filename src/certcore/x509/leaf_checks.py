"""Check whether a leaf matches the request that it was issued for: its key, names and dates.

An issued leaf is worth keeping, because the CA counted it against its rate limits and perhaps charged for it. So the
result distinguishes faults that are final (another key), faults that pass with time (not valid yet), and differences
that are harmless (additional names, which some CAs add).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.messages import Message, shown_moment
from certcore.model.leaf import Leaf
from certcore.model.names import DnsName, Identifier, covering_names
from certcore.x509.csr import csr_spki_sha256
from certcore.x509.describe import clean

__all__ = ["CLOCK_TOLERANCE", "LeafFault", "LeafJudgement", "judge_leaf"]

#: A leaf whose validity begins within this time counts as valid, because clocks differ.
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
_SHOWN_NAMES: Final = 5


class LeafFault(StrEnum):
    """Why a leaf cannot be used."""

    #: The public key is not that of the request. Final.
    OTHER_KEY = "other_key"
    #: Names of the request are missing. Final.
    MISSING_NAMES = "missing_names"
    #: The validity ends before it begins. Final.
    NO_VALIDITY = "no_validity"
    #: The validity begins later, or this machine's clock is behind.
    NOT_YET_VALID = "not_yet_valid"
    #: The validity has ended. Final, unless this machine's clock is ahead.
    EXPIRED = "expired"


@frozen(kw_only=True)
class LeafJudgement:
    """The result of `judge_leaf`."""

    #: All faults, in the order of `LeafFault`; empty if the leaf can be used.
    faults: tuple[LeafFault, ...]
    #: Names of the request that the leaf does not cover.
    missing_names: tuple[str, ...]
    #: Names of the leaf that were not requested, safe to display. They are harmless.
    extra_names: tuple[str, ...]
    #: The beginning of the leaf's validity, UTC.
    not_before: datetime
    #: The end of the leaf's validity, UTC.
    not_after: datetime

    @property
    def serves(self) -> bool:
        """Whether a server can present the leaf now."""
        return not self.faults

    @property
    def serves_later(self) -> bool:
        """Whether the only fault is that the leaf is not valid yet."""
        return self.faults == (LeafFault.NOT_YET_VALID,)

    @property
    def is_only_about_dates(self) -> bool:
        """Whether there are faults, and all of them depend on the present moment."""
        return bool(self.faults) and set(self.faults) <= {LeafFault.NOT_YET_VALID, LeafFault.EXPIRED}

    @property
    def text(self) -> Message:
        """The first fault as a sentence; an empty message if the leaf can be used."""
        return self._sentence(self.faults[0]) if self.faults else Message("", "")

    @property
    def advice(self) -> Message:
        """What the user can do about the first fault; an empty message if the leaf can be used."""
        match self.faults[:1]:
            case (LeafFault.OTHER_KEY,):
                text = "The CA answered with the leaf of another request. If it happens again, tell the CA."
                return Message("leaf.other_key.advice", text)
            case (LeafFault.MISSING_NAMES,):
                text = "Check what the CA account may order, for example wildcards, or ask the CA."
                return Message("leaf.missing_names.advice", text)
            case (LeafFault.NO_VALIDITY,):
                return Message("leaf.no_validity.advice", "Tell the CA.")
            case (LeafFault.NOT_YET_VALID,):
                text = "Check the clock of this machine; if it is right, the leaf can be used from that moment."
                return Message("leaf.not_yet_valid.advice", text)
            case (LeafFault.EXPIRED,):
                text = "Check the clock of this machine; if it is right, tell the CA."
                return Message("leaf.expired.advice", text)
            case _:
                return Message("", "")

    def _sentence(self, fault: LeafFault) -> Message:
        match fault:
            case LeafFault.OTHER_KEY:
                text = "The certificate has another key than the request."
                return Message("leaf.other_key", text)
            case LeafFault.MISSING_NAMES:
                return _lacks(self.missing_names)
            case LeafFault.NO_VALIDITY:
                return Message("leaf.no_validity", "The certificate ends before it begins.")
            case LeafFault.NOT_YET_VALID:
                params = {"not_before": shown_moment(self.not_before)}
                return Message("leaf.not_yet_valid", "The certificate is not valid before {not_before}.", params)
            case LeafFault.EXPIRED:
                params = {"not_after": shown_moment(self.not_after)}
                return Message("leaf.expired", "The certificate has expired already, on {not_after}.", params)


def judge_leaf(leaf: Leaf, *, names: Sequence[Identifier], csr_pem: str, now: datetime) -> LeafJudgement:
    """Compare a leaf with the request that it was issued for.

    A name of the request is covered if the leaf contains it, or a wildcard that matches it (RFC 9525 section 6.3).

    Args:
        leaf: The details of the leaf, from `certcore.x509.chain.parse_chain`.
        names: The names of the request.
        csr_pem: The CSR in PEM.
        now: The present moment, with its time zone.

    Raises:
        UnreadablePemError: The CSR cannot be read.
    """
    issued = frozenset(leaf.names)
    missing = tuple(sorted({str(name) for name in names if not _is_covered(name, issued)}))
    faults = {
        LeafFault.OTHER_KEY: leaf.spki_sha256 != csr_spki_sha256(csr_pem),
        LeafFault.MISSING_NAMES: bool(missing),
        LeafFault.NO_VALIDITY: leaf.not_after <= leaf.not_before,
        LeafFault.NOT_YET_VALID: leaf.not_before > now + CLOCK_TOLERANCE,
        LeafFault.EXPIRED: leaf.not_after <= now,
    }
    return LeafJudgement(
        faults=tuple(fault for fault, holds in faults.items() if holds),
        missing_names=missing,
        extra_names=tuple(sorted(map(clean, issued - {str(name) for name in names}))),
        not_before=leaf.not_before,
        not_after=leaf.not_after,
    )


def _is_covered(name: Identifier, issued: frozenset[str]) -> bool:
    return bool(issued & covering_names([name])) if isinstance(name, DnsName) else str(name) in issued


def _lacks(names: tuple[str, ...]) -> Message:
    params = {"count": len(names), "names": ", ".join(names[:_SHOWN_NAMES])}
    if len(names) > _SHOWN_NAMES:
        text = "The certificate lacks the names {names} and {more} more."
        return Message("leaf.missing_names.more", text, {**params, "more": len(names) - _SHOWN_NAMES})
    singular = "The certificate lacks the name {names}."
    return Message("leaf.missing_names", "The certificate lacks the names {names}.", params, singular=singular)
