"""Whether a leaf serves the request that it was issued for: key, names and dates, each judged on its own.

A leaf that was issued is worth keeping: it was counted by the CA's rate limits, and perhaps paid for. So the judgement
tells apart what can never serve (another key), what a later look may find in order (not valid yet), and what does no
harm (a name more than was asked for, which some CAs add).
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

#: A leaf that begins within this time is taken as valid: the clocks of the CA, of this machine and of clients differ.
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
_SHOWN_NAMES: Final = 5


class LeafFault(StrEnum):
    """Why a leaf does not serve."""

    #: Its public key is not the one of the request. It never serves.
    OTHER_KEY = "other_key"
    #: It lacks names of the request. It never serves.
    MISSING_NAMES = "missing_names"
    #: It ends before it begins. It never serves.
    NO_VALIDITY = "no_validity"
    #: It begins later. It serves from then on, or this machine's clock is behind.
    NOT_YET_VALID = "not_yet_valid"
    #: It has ended. It never serves, unless this machine's clock is ahead.
    EXPIRED = "expired"


@frozen(kw_only=True)
class LeafJudgement:
    """What is wrong with a leaf, and what is worth knowing about it."""

    #: Every fault, in the order of `LeafFault`; empty when the leaf serves.
    faults: tuple[LeafFault, ...]
    #: Names of the request that the leaf does not cover.
    missing_names: tuple[str, ...]
    #: Names of the leaf that were not asked for, fit to be shown. They do no harm.
    extra_names: tuple[str, ...]
    #: The leaf's dates.
    not_before: datetime
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
        """Whether key and names are right, so that another clock, or another moment, would take the leaf."""
        return bool(self.faults) and set(self.faults) <= {LeafFault.NOT_YET_VALID, LeafFault.EXPIRED}

    @property
    def text(self) -> Message:
        """The first fault as a sentence; without text when the leaf serves."""
        return self._sentence(self.faults[0]) if self.faults else Message("", "")

    @property
    def advice(self) -> Message:
        """What a person can do about the first fault; without text when the leaf serves."""
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

    A name of the request is there when the leaf holds it, or a wildcard that covers it (RFC 9525 section 6.3).

    Args:
        leaf: The leaf, as `certcore.x509.chain.parse_chain` read it.
        names: The names of the request.
        csr_pem: The request.
        now: The present moment, with its time zone.

    Raises:
        UnreadablePemError: The request cannot be read.
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
