"""Problem documents (RFC 9457), as CAs send them and certificates store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.messages import Message, as_message, sentences
from certcore.model.stored_messages import message_document, plain_message, read_message

__all__ = ["Problem"]

#: The longest text of a problem that is read, in characters.
_LONGEST_TEXT: Final = 4000


def _stored(text: str | Message) -> Message:
    return plain_message(as_message(text))


@frozen(kw_only=True)
class Problem:
    """A problem (RFC 9457) with the ACME extensions of RFC 8555 section 6.7.

    Unknown members of a CA's document, and members of a wrong type, are ignored.
    """

    #: The problem type, a URI (RFC 9457 section 3.1.1).
    type: str = "about:blank"
    #: What happened, in a text of certcore for a panel's user. The argument is ``title=``, a text or a message; `title`
    #: is the English text.
    title_text: Message = field(default=Message("", ""), converter=_stored, alias="title", hash=False)
    #: The CA's own text, unchanged (RFC 9457 section 3.1.4).
    detail: str = ""
    #: The HTTP status code; None if there is none.
    status: int | None = None
    #: The identifier that a subproblem is about (RFC 8555 section 6.7.1); empty for the whole order.
    identifier: str = ""
    #: The ``instance`` URL (RFC 9457 section 3.1.5). For ``userActionRequired``, a page that the user must visit
    #: (RFC 8555 section 7.3.3).
    instance: str = ""
    #: The problems of single identifiers (RFC 8555 section 6.7.1).
    subproblems: tuple[Problem, ...] = ()
    #: What the owner or the operator can do. The argument is ``advice=``; `advice` is the English text.
    advice_text: Message = field(default=Message("", ""), converter=_stored, alias="advice", hash=False)

    @property
    def title(self) -> str:
        """What happened, in English."""
        return str(self.title_text)

    @property
    def advice(self) -> str:
        """What the owner or the operator can do, in English."""
        return str(self.advice_text)

    @property
    def text(self) -> Message:
        """All parts except the advice: what happened, the CA's text, and the problems of single names."""
        parts = [self.title_text if self.title else as_message(self.detail or self.type)]
        if self.title and self.detail:
            parts.append(Message("problem.ca_said", "The CA said: {detail}", {"detail": self.detail}))
        parts.extend(_of_name(subproblem) for subproblem in self.subproblems)
        return sentences(*parts)

    @property
    def acme_type(self) -> str:
        """The short ACME error type (``rateLimited``), or an empty string for other problem types."""
        prefix = "urn:ietf:params:acme:error:"
        return self.type.removeprefix(prefix) if self.type.startswith(prefix) else ""

    def worded(self, title: str | Message, advice: str | Message = "") -> Problem:
        """A copy with a title and advice of certcore."""
        return evolve(self, title=title, advice=advice)

    def __str__(self) -> str:
        return str(self.text)

    def to_json(self) -> dict[str, Any]:
        """The problem as an ``application/problem+json`` object, without empty members.

        The extension member ``texts`` (RFC 9457 section 3.2) has the messages of ``title`` and ``advice`` with their
        keys, if they can be translated.
        """
        document: dict[str, Any] = {"type": self.type}
        for name in ("title", "detail", "status", "instance", "advice"):
            if value := getattr(self, name):
                document[name] = value
        if self.identifier:
            kind = "ip" if ":" in self.identifier or self.identifier.replace(".", "").isdigit() else "dns"
            document["identifier"] = {"type": kind, "value": self.identifier}
        messages = {"title": self.title_text, "advice": self.advice_text}
        if texts := {name: message_document(text) for name, text in messages.items() if text.key or text.params}:
            document["texts"] = texts
        if self.subproblems:
            document["subproblems"] = [sub.to_json() for sub in self.subproblems]
        return document

    @classmethod
    def from_json(cls, document: object, *, status: int | None = None, depth: int = 0) -> Problem:
        """Read a problem document. Members of a wrong type are ignored (RFC 9457 section 3.1)."""
        if not isinstance(document, Mapping):
            return cls(status=status)

        def text(name: str) -> str:
            value = document.get(name)
            # JSON may contain half of a surrogate pair, which databases cannot store.
            return value[:_LONGEST_TEXT].encode("utf-8", "replace").decode() if isinstance(value, str) else ""

        texts = document.get("texts")

        def message(name: str) -> str | Message:
            """The message, if its English text is the member's value; otherwise only that text."""
            stored = read_message(texts.get(name)) if isinstance(texts, Mapping) else None
            return text(name) if stored is None or str(stored) != text(name) else stored

        http_status = document.get("status")
        is_status = isinstance(http_status, int) and not isinstance(http_status, bool) and 100 <= http_status <= 599  # noqa: PLR2004
        identifier = document.get("identifier")
        value = identifier.get("value") if isinstance(identifier, Mapping) else ""
        listed = document.get("subproblems")
        subproblems = (
            tuple(
                cls.from_json(subproblem, depth=depth + 1)
                for subproblem in listed[:100]
                if isinstance(subproblem, Mapping)
            )
            if isinstance(listed, list) and depth == 0  # subproblems do not nest (RFC 8555 section 6.7.1)
            else ()
        )
        return cls(
            type=text("type") or "about:blank",
            title=message("title"),
            detail=text("detail"),
            status=http_status if is_status else status,
            identifier=value.encode("utf-8", "replace").decode() if isinstance(value, str) else "",
            instance=text("instance"),
            subproblems=subproblems,
            advice=message("advice"),
        )


def _of_name(problem: Problem) -> Message:
    """The text of the problem of one name."""
    text = problem.title_text if problem.title and not problem.detail else as_message(problem.detail or problem.type)
    return Message("problem.of_name", "{name}: {problem}", {"name": problem.identifier, "problem": text})
