"""The setup of a zone writer for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from attrs import field, frozen

from certcore.ports.zone_writers import MOST_CHANGES, ZoneWriter

__all__ = ["WrittenZone"]


@frozen(kw_only=True)
class WrittenZone:
    """A writer with a zone, and functions to see the results.

    The zone may be shared and in use: the checks write only to names ``conformance-….ZONE``, and remove what they have
    written.
    """

    writer: ZoneWriter
    #: The zone's name, as A-labels in lower case without a trailing dot. It needs an A record at ``www``.
    zone: str = ""
    #: Returns the TXT values that the server publishes at a name. Without it, nothing is written, and only few rules
    #: can be judged.
    values: Callable[[str], Collection[str]] | None = None
    #: Returns whether the server publishes a record of a type at a name.
    has: Callable[[str, str], bool] | None = None
    #: Returns the target of the CNAME that the server publishes at a name, without a trailing dot. For writers that set
    #: CNAMEs.
    cname: Callable[[str], str] | None = None
    #: A zone that the server does not have; empty if every zone can be written to.
    foreign_zone: str = "elsewhere.test"
    #: Returns a context manager during which the server is unreachable.
    server_down: Callable[[], AbstractContextManager[object]] | None = None
    #: Texts that must not appear in logs or errors, in addition to the `Secret` values of the writer.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    #: Whether the server can only replace all TXT values of a name, so that other values are lost.
    replaces: bool = False
    #: Whether other processes can write to the same zone; False for a zone in the memory of this process.
    is_shared: bool = True
    #: The number of names in the check of a full batch. Use fewer if each name takes seconds.
    batch: int = MOST_CHANGES
    #: How many seconds a call may take on the real clock.
    longest_call: float = 60.0
