"""The root of the tree, and what is refused at the door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "AmbiguousName",
    "CertCoreError",
    "InUse",
    "InvalidInput",
    "InvalidName",
    "LeaseLost",
    "NotFound",
    "NotObtained",
    "StaleWrite",
    "TransitionNotAllowed",
]


def _shown(value: object) -> str:
    """A value in a sentence, not too long."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text[:100] or "nothing"


def _called(kind: str) -> str:
    """What people call a kind of object."""
    return "CA profile" if kind == "authority" else kind


class CertCoreError(Exception):
    """The root of the tree: catch this to catch everything that certcore raises on purpose.

    Args:
        message: What happened, and to what, in one sentence.
        advice: What the reader can do next; empty when there is nothing to add.
    """

    #: Which attributes `as_dict` shows beside the sentences.
    _shown_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()

    @property
    def code(self) -> str:
        """A stable machine word for the kind of error: the class's name."""
        return type(self).__name__

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, for JSON: the sentences, and what the kind of error knows beside them."""
        known = {name: getattr(self, name) for name in self._shown_fields}
        return {"error": self.code, "message": self.message, "advice": self.advice, **known}


class InvalidInput(CertCoreError):
    """A value was refused before anything was stored.

    Args:
        field: The name of the field, as the form or the call spells it.
        reason: Why the value is refused, as a clause that follows the field's name.
    """

    _shown_fields = ("field", "reason")

    def __init__(self, field: str, reason: str, *, advice: str = "") -> None:
        super().__init__(f"{field}: {reason}", advice=advice)
        self.field = field
        self.reason = reason


class InvalidName(InvalidInput):
    """A domain name that no CA would put into a certificate (RFC 5280 section 4.2.1.6, RFC 5890)."""


class NotFound(CertCoreError):
    """There is no object of this kind under this id or name."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(
            f"There is no {_called(kind)} {_shown(key)!r}.", advice=f"List the {_plural(kind)} to see what there is."
        )
        self.kind = kind
        self.key = key


class NotObtained(CertCoreError):
    """A certificate that was waited for did not come: the CA refused it for good, or the time was over.

    Args:
        domain: Its primary name.
        certificate_id: Its id; what was begun goes on when a worker runs, or at the next call.
        reason: What the last attempt failed with, as a sentence; empty when nothing failed, and somebody has to do
            something.
        advice: What helps against it.
        seconds: How long it was waited for; None when waiting longer would not help.
    """

    _shown_fields = ("domain", "certificate_id", "reason")

    def __init__(
        self, domain: str, certificate_id: str, *, reason: str = "", advice: str = "", seconds: float | None = None
    ) -> None:
        when = "" if seconds is None else f" within {seconds:g} seconds"
        super().__init__(
            f"There is no certificate for {domain}{when}. {reason}".strip(),
            advice=advice or f"Its hints say what it waits for: certificates.hints({certificate_id!r}).",
        )
        self.domain = domain
        self.certificate_id = certificate_id
        self.reason = reason


class AmbiguousName(CertCoreError):
    """A name was given where it stands for more than one object."""

    def __init__(self, kind: str, name: str, ids: Sequence[str]) -> None:
        super().__init__(f"{name!r} is the name of {len(ids)} {_plural(kind)}.", advice=f"Use an id: {', '.join(ids)}.")
        self.kind = kind
        self.name = name
        self.ids = tuple(ids)


class AlreadyExists(CertCoreError):
    """The name is already taken by another object of the same kind."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is already a {_called(kind)} named {name!r}.", advice="Choose another name.")
        self.kind = kind
        self.name = name


class InUse(CertCoreError):
    """The object cannot be deleted while others need it."""

    def __init__(self, kind: str, name: str, users: Sequence[str]) -> None:
        shown = ", ".join(users[:5]) + (" …" if len(users) > 5 else "")  # noqa: PLR2004 - a sample is enough to act on
        by = f"by: {shown}" if users else "by certificates"
        super().__init__(f"The {_called(kind)} {name!r} is still in use {by}.", advice="Delete or move those first.")
        self.kind = kind
        self.name = name
        self.users = tuple(users)


class StaleWrite(CertCoreError):
    """Somebody else saved this object after you read it; nothing of yours was written.

    Args:
        kind: What kind of object it is.
        key: Its id.
        expected: The version that the caller had read.
        found: The version that is stored now, or None when the object is gone.
        changes: What was changed since, where that is known: the field with what it was and what it is now.
        actors: Who changed it.
    """

    def __init__(
        self,
        kind: str,
        key: str,
        *,
        expected: int,
        found: int | None,
        changes: Mapping[str, tuple[object, object]] | None = None,
        actors: Iterable[str] = (),
    ) -> None:
        what = "was deleted" if found is None else f"was changed (version {found}, you had {expected})"
        by = f" by {', '.join(dict.fromkeys(actors))}" if actors else ""
        shown = "; ".join(f"{field} from {_shown(a)} to {_shown(b)}" for field, (a, b) in (changes or {}).items())
        since = f" Changed since: {shown}." if shown else ""
        super().__init__(
            f"The {_called(kind)} {key} {what}{by} while you edited it; nothing was saved.{since}",
            advice="Load it again and repeat your change.",
        )
        self.kind = kind
        self.key = key
        self.expected = expected
        self.found = found
        self.changes = dict(changes or {})
        self.actors = tuple(dict.fromkeys(actors))

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, with what was changed."""
        changes = {field: {"from": old, "to": new} for field, (old, new) in self.changes.items()}
        return {**super().as_dict(), "changes": changes, "actors": list(self.actors)}


class TransitionNotAllowed(CertCoreError):
    """The certificate's status does not permit this action (see the transition table in the docs)."""

    def __init__(self, status: str, action: str, allowed: Iterable[str]) -> None:
        choices = ", ".join(sorted(allowed)) or "nothing"
        super().__init__(
            f"A certificate that is {status} cannot take the action '{action}'.",
            advice=f"Possible now: {choices}.",
        )
        self.status = status
        self.action = action
        self.allowed = tuple(sorted(allowed))


class LeaseLost(CertCoreError):
    """A worker's lease on a certificate ended before its step did, so the step's result was refused."""

    def __init__(self, certificate_id: str) -> None:
        super().__init__(
            f"Another worker or a user's action took over certificate {certificate_id}; this step was not saved.",
            advice="Nothing is to be done: the newer state stands.",
        )
        self.certificate_id = certificate_id


class AccessDenied(CertCoreError):
    """The authorisation policy refused the action."""

    def __init__(self, actor: str, action: str, subject: str) -> None:
        what = f"{action} of {subject}" if subject else action
        super().__init__(f"{actor} has no permission for {what}.", advice="Ask an administrator of this panel for it.")
        self.actor = actor
        self.action = action
        self.subject = subject


def _plural(kind: str) -> str:
    kind = _called(kind)
    return kind[:-1] + "ies" if kind.endswith("ty") else kind + "s"
