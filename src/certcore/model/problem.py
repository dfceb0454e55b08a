"""Problem documents (RFC 9457), as a CA sends them and as a certificate keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

__all__ = ["Problem"]


@frozen(kw_only=True)
class Problem:
    """What went wrong, in the shape of RFC 9457, with the ACME extensions of RFC 8555 section 6.7.

    Members that are unknown or of the wrong type in a CA's document are left out, never an error: a problem
    document must not become a second problem.
    """

    #: The problem type, an URI (RFC 9457 section 3.1.1).
    type: str = "about:blank"
    #: What happened in the words of a panel's user; ours, not the CA's.
    title: str = ""
    #: The CA's own text, untouched (RFC 9457 section 3.1.4).
    detail: str = ""
    #: The HTTP status code, where there was one.
    status: int | None = None
    #: The identifier that a sub-problem is about (RFC 8555 section 6.7.1); empty for the whole order.
    identifier: str = ""
    #: The ``instance`` link, for ``userActionRequired`` a page that a person must visit (RFC 8555 section 7.3.3).
    instance: str = ""
    #: One problem per identifier, where the CA gave them.
    subproblems: tuple[Problem, ...] = ()
    #: What the owner or the operator can do about it.
    advice: str = ""

    @property
    def acme_type(self) -> str:
        """The short ACME error type (``rateLimited``), or an empty string for other problem types."""
        prefix = "urn:ietf:params:acme:error:"
        return self.type.removeprefix(prefix) if self.type.startswith(prefix) else ""

    def worded(self, title: str, advice: str = "") -> Problem:
        """The same problem with our words on it."""
        return evolve(self, title=title, advice=advice)

    def __str__(self) -> str:
        parts = [self.title or self.detail or self.type]
        if self.title and self.detail:
            parts.append(f"The CA said: {self.detail}")
        parts.extend(f"{sub.identifier}: {sub.detail or sub.title or sub.type}" for sub in self.subproblems)
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The problem as an ``application/problem+json`` object; empty members are left out."""
        document: dict[str, Any] = {"type": self.type}
        for name in ("title", "detail", "status", "instance", "advice"):
            if value := getattr(self, name):
                document[name] = value
        if self.identifier:
            kind = "ip" if ":" in self.identifier or self.identifier.replace(".", "").isdigit() else "dns"
            document["identifier"] = {"type": kind, "value": self.identifier}
        if self.subproblems:
            document["subproblems"] = [sub.to_json() for sub in self.subproblems]
        return document

    @classmethod
    def from_json(cls, document: object, *, status: int | None = None, depth: int = 0) -> Problem:
        """Read a problem document as leniently as RFC 9457 section 3.1 asks for."""
        if not isinstance(document, Mapping):
            return cls(status=status)

        def text(name: str) -> str:
            value = document.get(name)
            # JSON may hold half of a surrogate pair, which no store takes.
            return value[:4000].encode("utf-8", "replace").decode() if isinstance(value, str) else ""

        found = document.get("status")
        is_status = isinstance(found, int) and not isinstance(found, bool) and 100 <= found <= 599  # noqa: PLR2004
        identifier = document.get("identifier")
        value = identifier.get("value") if isinstance(identifier, Mapping) else ""
        listed = document.get("subproblems")
        subproblems = (
            tuple(cls.from_json(one, depth=depth + 1) for one in listed[:100] if isinstance(one, Mapping))
            if isinstance(listed, list) and depth == 0  # RFC 8555 section 6.7.1: sub-problems do not nest
            else ()
        )
        return cls(
            type=text("type") or "about:blank",
            title=text("title"),
            detail=text("detail"),
            status=found if is_status else status,
            identifier=value.encode("utf-8", "replace").decode() if isinstance(value, str) else "",
            instance=text("instance"),
            subproblems=subproblems,
            advice=text("advice"),
        )
