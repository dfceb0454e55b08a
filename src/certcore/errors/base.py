"""The base class of all errors, and the errors for refused calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final

from certcore.messages import Message, as_message, listed

__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "AmbiguousNameError",
    "CertCoreError",
    "InUseError",
    "InvalidFieldsError",
    "InvalidInputError",
    "InvalidNameError",
    "LeaseLostError",
    "NotFoundError",
    "NotObtainedError",
    "StaleWriteError",
    "TransitionNotAllowedError",
]


#: How many refused values the message of an `InvalidFieldsError` names.
_SHOWN_ERRORS: Final = 5


def _shown(value: object) -> str:
    """A value as text for a message, at most 100 characters."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text[:100] or "nothing"


def _plain(value: object) -> object:
    """Convert a value to plain JSON values."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return str(value)


_KINDS: Final[Mapping[str, Message]] = MappingProxyType(
    {
        "authority": Message("kind.authority", "CA profile"),
        "certificate": Message("kind.certificate", "certificate"),
        "document": Message("kind.document", "document"),
        "issuance": Message("kind.issuance", "issuance"),
        "preflight": Message("kind.preflight", "preflight"),
        "sealing key": Message("kind.sealing_key", "sealing key"),
    }
)
_LISTS: Final[Mapping[str, Message]] = MappingProxyType(
    {
        "authority": Message("error.not_found.authorities", "List the CA profiles to see which exist."),
        "certificate": Message("error.not_found.certificates", "List the certificates to see which exist."),
        "issuance": Message("error.not_found.issuances", "List the issuances to see which exist."),
        "sealing key": Message("error.not_found.sealing_keys", "List the sealing keys to see which exist."),
    }
)


def _called(kind: str) -> Message:
    """The name of a kind of object in messages."""
    return _KINDS.get(kind, as_message(kind))


class CertCoreError(Exception):
    """The base class of all errors of certcore. certcore raises only subclasses; each has its own code.

    Args:
        message: What happened, in one sentence; a `Message` can be translated.
        advice: What the reader can do next; may be empty.
    """

    #: A stable identifier of the error, in snake_case. It is kept when the class is renamed.
    code: ClassVar[str] = "error"
    #: The HTTP status code (RFC 9110 section 15) that a REST API should answer with.
    http_status: ClassVar[int] = 500
    #: The names of the attributes that `params` contains, without those of the parent classes.
    param_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str | Message, *, advice: str | Message = "") -> None:
        super().__init__(str(message))
        #: The sentence and the advice as translatable messages; `message` and `advice` are their English texts.
        self.text = as_message(message)
        self.advice_text = as_message(advice)

    @property
    def message(self) -> str:
        """What happened, in English."""
        return str(self.text)

    @property
    def advice(self) -> str:
        """What to do next, in English; may be empty."""
        return str(self.advice_text)

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()

    @property
    def params(self) -> dict[str, object]:
        """The values in the message as plain JSON values. With `code`, they are enough to write a translation."""
        kinds = [kind for kind in reversed(type(self).__mro__) if "param_names" in vars(kind)]
        return {name: _plain(getattr(self, name)) for kind in kinds for name in vars(kind)["param_names"]}

    def as_dict(self) -> dict[str, object]:
        """The error as plain JSON values: ``code``, ``message``, ``advice`` and ``params``."""
        return {"code": self.code, "message": self.message, "advice": self.advice, "params": self.params}


class InvalidInputError(CertCoreError):
    """A value was refused before anything was stored.

    Args:
        field: The name of the field in the form, or of the argument of the call.
        reason: Why the value is refused, as a clause that follows the field's name; a `Message` can be translated.
        advice: What the reader can do next; may be empty.
    """

    code = "invalid_input"
    http_status = 422
    param_names: ClassVar[tuple[str, ...]] = ("field", "reason")

    def __init__(self, field: str, reason: str | Message, *, advice: str | Message = "") -> None:
        params = {"field": field, "reason": reason}
        super().__init__(Message("error.invalid_input", "{field}: {reason}", params), advice=advice)
        self.field = field
        self.reason_text = as_message(reason)

    @property
    def reason(self) -> str:
        """Why the value is refused, in English."""
        return str(self.reason_text)

    @property
    def errors(self) -> tuple[InvalidInputError, ...]:
        """One error for each refused value; only an `InvalidFieldsError` has more than one."""
        return (self,)

    def as_dict(self) -> dict[str, object]:
        """The JSON form, with ``errors``: the ``field``, ``code``, ``reason`` and ``advice`` of each refused value."""
        errors = [
            {"field": error.field, "code": error.code, "reason": error.reason, "advice": error.advice}
            for error in self.errors
        ]
        return {**super().as_dict(), "errors": errors}


class InvalidFieldsError(InvalidInputError):
    """Several values were refused at once. ``field`` and ``reason`` belong to the first one; ``errors`` has all.

    Args:
        errors: One error for each refused value, at least one. An `InvalidFieldsError` among them is flattened.
    """

    code = "invalid_fields"

    def __init__(self, errors: Iterable[InvalidInputError]) -> None:
        each = tuple(single for error in errors for single in error.errors)
        if not all(isinstance(error, InvalidInputError) for error in each):
            raise TypeError("An InvalidFieldsError is made of InvalidInputErrors.")
        shown = each[:_SHOWN_ERRORS]
        advice = tuple({error.advice: error.advice_text for error in shown if error.advice}.values())
        super().__init__(each[0].field, each[0].reason_text, advice=Message("", "{each}", {"each": advice}))
        params = {"count": len(each), "errors": tuple(error.text for error in shown), "more": len(each) - len(shown)}
        if len(each) > len(shown):
            self.text = Message(
                "error.invalid_fields.more", "{count} values were refused. {errors} And {more} more.", params
            )
        else:
            singular = "{count} value was refused. {errors}"
            text = "{count} values were refused. {errors}"
            self.text = Message("error.invalid_fields", text, params, singular=singular)
        self._errors = each

    @property
    def errors(self) -> tuple[InvalidInputError, ...]:
        """One error for each refused value."""
        return self._errors


class InvalidNameError(InvalidInputError):
    """A DNS name or IP address that no CA puts into a certificate (RFC 5280 section 4.2.1.6, RFC 5890)."""

    code = "invalid_name"


class NotFoundError(CertCoreError):
    """There is no object of this kind with this ID or name.

    Args:
        kind: The kind of object, for example ``certificate``.
        key: The ID or name that was looked for.
    """

    code = "not_found"
    http_status = 404
    param_names = ("kind", "key")

    def __init__(self, kind: str, key: str) -> None:
        params = {"kind": _called(kind), "key": repr(_shown(key))}
        super().__init__(
            Message("error.not_found", "There is no {kind} {key}.", params),
            advice=_LISTS.get(kind, Message("error.not_found.others", "List them to see which exist.")),
        )
        self.kind = kind
        self.key = key


class NotObtainedError(CertCoreError):
    """`Certificates.obtain` ended without a certificate: the CA refused it permanently, or the time limit passed.

    Args:
        domain: The certificate's primary name.
        certificate_id: The certificate's ID. A running worker, or the next call, continues its issuance.
        reason: The problem of the last issuance, as a sentence; empty if nothing failed and somebody has to act.
        advice: What the reader can do next; empty for a reference to the certificate's hints.
        seconds: How many seconds the call waited; None if waiting longer would not help.
    """

    code = "not_obtained"
    http_status = 502
    param_names = ("domain", "certificate_id", "reason")

    def __init__(
        self,
        domain: str,
        certificate_id: str,
        *,
        reason: str | Message = "",
        advice: str | Message = "",
        seconds: float | None = None,
    ) -> None:
        params = {"domain": domain, "reason": reason, "seconds": f"{seconds or 0:g}"}
        match seconds, bool(reason):
            case None, True:
                message = Message(
                    "error.not_obtained.because", "No certificate was obtained for {domain}. {reason}", params
                )
            case None, False:
                message = Message("error.not_obtained", "No certificate was obtained for {domain}.", params)
            case _, True:
                text = "No certificate was obtained for {domain} within {seconds} seconds. {reason}"
                message = Message("error.not_obtained.in_time_because", text, params)
            case _:
                text = "No certificate was obtained for {domain} within {seconds} seconds."
                message = Message("error.not_obtained.in_time", text, params)
        hints = "The hints of the certificate {certificate_id} show what it is waiting for."
        waits = Message("error.not_obtained.advice", hints, {"certificate_id": certificate_id})
        super().__init__(message, advice=advice or waits)
        self.domain = domain
        self.certificate_id = certificate_id
        self.reason = str(reason)


class AmbiguousNameError(CertCoreError):
    """Several objects have this name, so it does not identify one of them.

    Args:
        kind: The kind of object.
        name: The name.
        ids: The IDs of the objects with this name.
    """

    code = "ambiguous_name"
    http_status = 409
    param_names = ("kind", "name", "ids")

    def __init__(self, kind: str, name: str, ids: Sequence[str]) -> None:
        params = {"kind": _called(kind), "name": repr(name), "count": len(ids)}
        super().__init__(
            Message("error.ambiguous_name", "{name} is the name of more than one {kind}: {count} have it.", params),
            advice=Message("error.ambiguous_name.advice", "Use an id: {ids}.", {"ids": ", ".join(ids)}),
        )
        self.kind = kind
        self.name = name
        self.ids = tuple(ids)


class AlreadyExistsError(CertCoreError):
    """Another object of the same kind already has this name or ID.

    Args:
        kind: The kind of object.
        name: The name or ID.
    """

    code = "already_exists"
    http_status = 409
    param_names = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        params = {"kind": _called(kind), "name": repr(name)}
        super().__init__(
            Message("error.already_exists", "There is already a {kind} named {name}.", params),
            advice=Message("error.already_exists.advice", "Choose another name."),
        )
        self.kind = kind
        self.name = name


class InUseError(CertCoreError):
    """The object cannot be deleted while other objects use it.

    Args:
        kind: The kind of object.
        name: The object's name.
        users: The names of some objects that use it; empty if the caller may not see them.
    """

    code = "in_use"
    http_status = 409
    param_names = ("kind", "name", "users")

    def __init__(self, kind: str, name: str, users: Sequence[str]) -> None:
        shown = ", ".join(users[:5]) + (" …" if len(users) > 5 else "")  # noqa: PLR2004 - a sample is enough to act on
        params = {"kind": _called(kind), "name": repr(name), "users": shown}
        if users:
            message = Message("error.in_use", "The {kind} {name} is still in use by: {users}.", params)
        else:
            text = "The {kind} {name} is still in use by certificates."
            message = Message("error.in_use.by_certificates", text, params)
        super().__init__(message, advice=Message("error.in_use.advice", "Delete or move those first."))
        self.kind = kind
        self.name = name
        self.users = tuple(users)


class StaleWriteError(CertCoreError):
    """The object was changed or deleted after it was read. Nothing was written.

    Args:
        kind: The kind of object.
        key: The object's ID.
        expected: The version that the caller had read.
        found: The version that is stored now; None if the object was deleted.
        changes: The changed fields with their old and new values, if they are known.
        actors: Who changed the object.
    """

    code = "stale_write"
    http_status = 409
    param_names = ("kind", "key", "expected", "found", "changes", "actors")

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
        people = tuple(dict.fromkeys(actors))
        params = {"kind": _called(kind), "key": key, "expected": expected, "found": found, "actors": ", ".join(people)}
        shown = "; ".join(f"{field}: {_shown(old)} → {_shown(new)}" for field, (old, new) in (changes or {}).items())
        super().__init__(
            _stale(params, is_deleted=found is None, has_actors=bool(people)),
            advice=_load_again(shown),
        )
        self.kind = kind
        self.key = key
        self.expected = expected
        self.found = found
        self.changes = dict(changes or {})
        self.actors = people

    @property
    def params(self) -> dict[str, object]:
        """The values in the message as plain JSON values; ``changes`` has a ``from`` and a ``to`` for each field."""
        changes = {field: {"from": _plain(old), "to": _plain(new)} for field, (old, new) in self.changes.items()}
        return {**super().params, "changes": changes}


def _stale(params: Mapping[str, object], *, is_deleted: bool, has_actors: bool) -> Message:
    match is_deleted, has_actors:
        case True, False:
            text = "The {kind} {key} was deleted while you edited it; nothing was saved."
            return Message("error.stale_write.deleted", text, params)
        case True, True:
            text = "The {kind} {key} was deleted by {actors} while you edited it; nothing was saved."
            return Message("error.stale_write.deleted_by", text, params)
        case False, False:
            text = "The {kind} {key} was changed (version {found}, you had {expected}) while you edited it; "
            return Message("error.stale_write.changed", text + "nothing was saved.", params)
        case _:
            text = (
                "The {kind} {key} was changed (version {found}, you had {expected}) by {actors} while you edited it; "
            )
            return Message("error.stale_write.changed_by", text + "nothing was saved.", params)


def _load_again(changes: str) -> Message:
    if not changes:
        return Message("error.stale_write.advice", "Load it again and repeat your change.")
    text = "Changed since: {changes}. Load it again and repeat your change."
    return Message("error.stale_write.advice_with_changes", text, {"changes": changes})


class TransitionNotAllowedError(CertCoreError):
    """The certificate's status does not permit this action (see the transition table in the docs).

    Args:
        status: The status of the certificate.
        action: The refused action.
        allowed: The actions that are allowed instead.
        titles: The displayed names of the status and the actions, by code word. A missing name is the code word.
    """

    code = "transition_not_allowed"
    http_status = 409
    param_names = ("status", "action", "allowed")

    def __init__(
        self, status: str, action: str, allowed: Iterable[str], *, titles: Mapping[str, Message] = MappingProxyType({})
    ) -> None:
        self.status = status
        self.action = action
        self.allowed = tuple(sorted(allowed))
        named = {word: titles.get(word, as_message(word)) for word in (status, action, *self.allowed)}
        text = "A certificate with the status '{status}' does not allow the action '{action}'."
        advice = Message("error.transition_not_allowed.nothing", "Possible now: nothing.")
        if self.allowed:
            choices = {"choices": listed(*(named[word] for word in self.allowed))}
            advice = Message("error.transition_not_allowed.advice", "Possible now: {choices}.", choices)
        params = {"status": named[status], "action": named[action]}
        super().__init__(Message("error.transition_not_allowed", text, params), advice=advice)


class LeaseLostError(CertCoreError):
    """The lease on a certificate was lost while its step was running, so the step's result was discarded."""

    code = "lease_lost"
    http_status = 409
    param_names = ("certificate_id",)

    def __init__(self, certificate_id: str) -> None:
        text = "Another worker or a user's action took over certificate {certificate_id}; this step was not saved."
        super().__init__(
            Message("error.lease_lost", text, {"certificate_id": certificate_id}),
            advice=Message("error.lease_lost.advice", "No action is needed: the newer state is kept."),
        )
        self.certificate_id = certificate_id


class AccessDeniedError(CertCoreError):
    """The authorisation policy refused the action.

    Args:
        actor: Who acts.
        action: The missing permission, a value of `Permission`.
        subject: The ID of the certificate or CA profile; empty if the permission is not about one object.
        title: The displayed name of the permission; empty for its code word.
    """

    code = "access_denied"
    http_status = 403
    param_names = ("actor", "action", "subject")

    def __init__(self, actor: str, action: str, subject: str, *, title: str | Message = "") -> None:
        params = {"actor": actor, "permission": title or action, "subject": subject}
        general = "{actor} does not have the permission '{permission}'."
        special = "{actor} does not have the permission '{permission}' for {subject}."
        super().__init__(
            Message("error.access_denied.of", special, params)
            if subject
            else Message("error.access_denied", general, params),
            advice=Message("error.access_denied.advice", "Ask an administrator of this panel for it."),
        )
        self.actor = actor
        self.action = action
        self.subject = subject
