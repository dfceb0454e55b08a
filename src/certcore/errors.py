"""Every error that certcore raises on purpose, as one tree.

::

    CertCoreError
    ├── InvalidInput             a field was refused at the door
    │   └── InvalidName          … because it is not a usable DNS name
    ├── NotFound                 nothing of that kind under that id or name
    ├── AmbiguousName            a name that stands for more than one thing
    ├── AlreadyExists            the name is taken
    ├── InUse                    it cannot go while something needs it
    ├── StaleWrite               somebody else saved first
    ├── TransitionNotAllowed     the status does not permit this
    ├── LeaseLost                another worker took the certificate over
    ├── AccessDenied             the panel's policy said no
    ├── X509Error                keys, requests and certificates
    │   ├── UnreadablePem        not the PEM it should be
    │   ├── KeyMismatch          a key and a certificate that do not belong together
    │   └── LeafRejected         a certificate that is not the one asked for
    ├── SealingError             secrets at rest
    │   ├── KeyringRefused       the keyring cannot be used as it is
    │   ├── SealingKeyInUse      a key that cannot be retired yet
    │   ├── UnknownSealingKey    sealed with a key that the keyring lacks
    │   ├── UnsealFailed         changed, moved, or sealed for something else
    │   └── WrongSealingKey      the keyring's key of that id is another one
    ├── StorageError             the database
    │   ├── DatabaseTooNew       written by a newer certcore
    │   └── StorageUnavailable   cannot be reached or used right now
    ├── PluginError              a plugin broke its promise
    │   └── UnknownModule        no CA module of that name is loaded
    └── CAError                  the certification authority refused or failed

Errors carry data; ``str(error)`` is a sentence for a person, ``advice`` says what to do next, and ``as_dict`` is
the same for machines. No error ever carries a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "AmbiguousName",
    "CAError",
    "CertCoreError",
    "DatabaseTooNew",
    "InUse",
    "InvalidInput",
    "InvalidName",
    "KeyMismatch",
    "KeyringRefused",
    "LeafRejected",
    "LeaseLost",
    "NotFound",
    "PluginError",
    "SealingError",
    "SealingKeyInUse",
    "StaleWrite",
    "StorageError",
    "StorageUnavailable",
    "TransitionNotAllowed",
    "UnknownModule",
    "UnknownSealingKey",
    "UnreadablePem",
    "UnsealFailed",
    "WrongSealingKey",
    "X509Error",
]


def _shown(value: object) -> str:
    """A value in a sentence, not too long."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text[:100] or "nothing"


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
        super().__init__(f"There is no {kind} {key!r}.", advice=f"List the {_plural(kind)} to see what there is.")
        self.kind = kind
        self.key = key


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
        super().__init__(f"There is already a {kind} named {name!r}.", advice="Choose another name.")
        self.kind = kind
        self.name = name


class InUse(CertCoreError):
    """The object cannot be deleted while others need it."""

    def __init__(self, kind: str, name: str, users: Sequence[str]) -> None:
        shown = ", ".join(users[:5]) + (" …" if len(users) > 5 else "")  # noqa: PLR2004 - a sample is enough to act on
        super().__init__(f"The {kind} {name!r} is still in use by: {shown}.", advice="Delete or move those first.")
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
            f"The {kind} {key} {what}{by} while you edited it; nothing was saved.{since}",
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
            f"A certificate that is {status} cannot take the action {action!r}.",
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


class X509Error(CertCoreError):
    """Something is wrong with a key, a certificate signing request or a certificate."""


class UnreadablePem(X509Error):
    """The text is not the PEM (RFC 7468) that was expected."""


class KeyMismatch(X509Error):
    """A private key and a certificate or request that do not belong together."""


class LeafRejected(X509Error):
    """A certificate that a CA returned is not the one that was asked for; it was not installed."""


class SealingError(CertCoreError):
    """A secret at rest could not be sealed or opened."""


class KeyringRefused(SealingError):
    """The keyring cannot be used as it is: missing, malformed, or readable by others."""


class SealingKeyInUse(SealingError):
    """A key of the keyring cannot be retired: it is the current one, or secrets are still sealed with it.

    Args:
        key_id: The key.
        secrets: How many secrets are sealed with it.
        current: Whether it is the keyring's current key.
    """

    _shown_fields = ("key_id", "secrets", "current")

    def __init__(self, key_id: str, *, secrets: int = 0, current: bool = False) -> None:
        if current:
            what = f"The key {key_id!r} is the keyring's current one: what is new is sealed with it."
            advice = "Make another key the current one first, and re-wrap: certcore keyring use KEY_ID."
        else:
            what = f"The key {key_id!r} is still needed; secrets sealed with it: {secrets}."
            advice = "Re-wrap first: certcore keyring rewrap, or CertCore.sealing_keys.rewrap()."
        super().__init__(what, advice=advice)
        self.key_id = key_id
        self.secrets = secrets
        self.current = current


class UnknownSealingKey(SealingError):
    """Secrets are sealed with a key that the keyring does not hold.

    Args:
        key_id: The key; of several, any of them.
        missing: Of each missing key, how many secrets are sealed with it; None when it is about one secret.
    """

    _shown_fields = ("key_id", "missing")

    def __init__(self, key_id: str, *, missing: Mapping[str, int] | None = None) -> None:
        if missing is None:
            what = f"A secret is sealed with the key {key_id!r}, which the keyring does not hold."
        else:
            keys = ", ".join(f"{one!r} (secrets sealed with it: {missing[one]})" for one in sorted(missing))
            what = f"The keyring does not hold every key of this database; it lacks {keys}."
        super().__init__(
            what,
            advice="Name the keyring that belongs to this database, or put what is missing back into it, from its copy "
            "or from the machine that made it; without it these secrets cannot be opened.",
        )
        self.key_id = key_id
        self.missing = dict(missing or {})


class UnsealFailed(SealingError):
    """A sealed secret was changed, was moved to another row, or belongs to another key."""

    def __init__(self, secret: str) -> None:
        super().__init__(
            f"The sealed secret {secret} does not open: it was changed, moved, or sealed with another key.",
            advice="Restore it from a backup together with its keyring.",
        )
        self.secret = secret


class WrongSealingKey(SealingError):
    """The keyring holds a key of the right id, but not the one that the database's secrets are sealed with."""

    _shown_fields = ("key_id",)

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"The keyring's key {key_id!r} is not the key of that id which this database's secrets are sealed with.",
            advice="Use the keyring that belongs to this database, or restore that key from its copy.",
        )
        self.key_id = key_id


class StorageError(CertCoreError):
    """The database refused or failed."""


class DatabaseTooNew(StorageError):
    """The database was written by a newer certcore than this one."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(
            f"The database has schema revision {found!r}; this certcore knows revisions up to {known!r}.",
            advice="Upgrade certcore, or open a database that this version wrote.",
        )
        self.found = found
        self.known = known


class StorageUnavailable(StorageError):
    """The database cannot be reached or used right now."""


class PluginError(CertCoreError):
    """A plugin raised, or returned something that its contract does not allow.

    Args:
        plugin: The plugin's name.
        place: The hook or method that failed.
        reason: What went wrong, without secrets.
    """

    def __init__(self, plugin: str, place: str, reason: str) -> None:
        super().__init__(
            f"The plugin {plugin!r} failed in {place}: {reason}", advice="Report this to the author of the plugin."
        )
        self.plugin = plugin
        self.place = place
        self.reason = reason


class UnknownModule(InvalidInput, PluginError):
    """No CA module of that name is loaded."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        choices = ", ".join(sorted(known)) or "none"
        self.field = "module"
        self.reason = f"there is no CA module named {name!r}."
        # Not through the parents: they take different arguments, and each would call the other.
        CertCoreError.__init__(
            self,
            f"{self.field}: {self.reason}",
            advice=f"Loaded modules: {choices}. A module comes with the Python package that provides it.",
        )
        self.plugin = name
        self.place = "certcore_ca_modules"


class CAError(CertCoreError):
    """The certification authority refused a request, or could not be talked to.

    Args:
        message: What happened, in the words of a panel's user.
        problem_type: The problem type as an URI (RFC 9457 section 3.1.1), ``about:blank`` when there is none.
        detail: The CA's own text, untouched; empty when there is none.
        retry_after: Seconds that the CA asks to wait (RFC 9110 section 10.2.3); None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        problem_type: str = "about:blank",
        detail: str = "",
        retry_after: float | None = None,
        advice: str = "",
    ) -> None:
        super().__init__(message, advice=advice)
        self.problem_type = problem_type
        self.detail = detail
        self.retry_after = retry_after

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, with the CA's own words."""
        return {**super().as_dict(), "type": self.problem_type, "detail": self.detail}


def _plural(kind: str) -> str:
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
