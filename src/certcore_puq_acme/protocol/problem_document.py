"""Problem documents of ACME servers (RFC 9457, RFC 8555 section 6.7), read leniently: printable and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from certcore.net.foreign_text import LONGEST_TEXT, printable

__all__ = ["ERROR_NAMESPACE", "ProblemDocument", "error_urn"]

#: The prefix of the types of all ACME errors (RFC 8555 section 6.7).
ERROR_NAMESPACE: Final = "urn:ietf:params:acme:error:"

_HTTP_STATUSES: Final = range(100, 600)
#: How many subproblems are kept: an order has at most a hundred names.
_MAX_SUBPROBLEMS: Final = 100
#: The longest text of a type, an identifier, or a subproblem, in characters.
_SHORT_TEXT: Final = 300


def error_urn(name: str) -> str:
    """The problem type of an ACME error, such as ``rateLimited``."""
    return ERROR_NAMESPACE + name


@frozen(kw_only=True)
class ProblemDocument:
    """An ``application/problem+json`` object.

    Members that are unknown or of the wrong type are ignored, as RFC 9457 section 3.1 demands.
    """

    #: RFC 9457 section 3.1.1: "a URI reference that identifies the problem type", ``about:blank`` when absent.
    type: str = "about:blank"
    #: Section 3.1.3: "a short, human-readable summary of the problem type".
    title: str = ""
    #: Section 3.1.4: "a human-readable explanation specific to this occurrence of the problem".
    detail: str = ""
    #: Section 3.1.2: the HTTP status code, which the server's status line overrides.
    status: int | None = None
    #: Section 3.1.5; for ``userActionRequired`` the page that a person must visit (RFC 8555 section 7.3.3).
    instance: str = ""
    #: The identifier of a subproblem (RFC 8555 section 6.7.1); empty for the whole request.
    identifier: str = ""
    #: RFC 8555 section 6.7.1: one problem for each identifier. They do not nest.
    subproblems: tuple[ProblemDocument, ...] = ()

    @property
    def acme_type(self) -> str:
        """The short name of an ACME error type, such as ``rateLimited``; empty for other problem types."""
        return self.type.removeprefix(ERROR_NAMESPACE) if self.type.startswith(ERROR_NAMESPACE) else ""

    @classmethod
    def from_json(cls, document: object) -> ProblemDocument | None:
        """Read a problem document; None for anything but a JSON object."""
        if not isinstance(document, Mapping):
            return None
        listed = document.get("subproblems")
        members = listed[:_MAX_SUBPROBLEMS] if isinstance(listed, list) else []
        subproblems = tuple(cls._read(member, _SHORT_TEXT) for member in members if isinstance(member, Mapping))
        return evolve(cls._read(document, LONGEST_TEXT), subproblems=subproblems)

    @classmethod
    def _read(cls, document: Mapping[str, Any], longest: int) -> ProblemDocument:
        status = document.get("status")
        identifier = document.get("identifier")
        is_status = isinstance(status, int) and not isinstance(status, bool) and status in _HTTP_STATUSES
        return cls(
            type=printable(document.get("type"), _SHORT_TEXT) or "about:blank",
            title=printable(document.get("title"), longest),
            detail=printable(document.get("detail"), longest),
            status=status if is_status else None,
            instance=printable(document.get("instance"), longest),
            identifier=printable(identifier.get("value"), _SHORT_TEXT) if isinstance(identifier, Mapping) else "",
        )
