"""The setup of a zone writer for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from attrs import field, frozen

from certcore.ports.zone_writers import MOST_CHANGES, ZoneWriter

__all__ = ["WrittenZone"]


@frozen(kw_only=True)
class WrittenZone:
    """A writer with a zone to write to, and functions to see the result.

    The zone may be shared and in use: the checks write at names of their own, ``conformance-….ZONE``, and remove what
    they have written.
    """

    writer: ZoneWriter
    #: The zone's name, A-labels in lower case without a trailing dot. Give it an A record at ``www``.
    zone: str = ""
    #: The TXT values that the server shows at a name. Without it nothing is written, and few rules can be judged.
    values: Callable[[str], Collection[str]] | None = None
    #: Whether the server shows a record of a type at a name.
    has: Callable[[str, str], bool] | None = None
    #: Where the CNAME at a name points, as the server shows it, without the trailing dot; for a writer of CNAMEs.
    cname: Callable[[str], str] | None = None
    #: A zone that the server does not have; empty where any zone can be written to.
    foreign_zone: str = "elsewhere.test"
    #: Makes the server unreachable for as long as it is entered.
    server_down: Callable[[], AbstractContextManager[object]] | None = None
    #: Texts that must not appear in logs or errors, besides the `Secret` values of the writer.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    #: Whether the server can only replace all TXT values of a name, so that values of others are lost.
    replaces: bool = False
    #: Whether other processes write to the same zone; False for one in the memory of this process.
    is_shared: bool = True
    #: How many names one call is about in the check of a whole batch: fewer where each takes seconds.
    batch: int = MOST_CHANGES
    #: How many seconds, on the real clock, a call may take.
    longest_call: float = 60.0
