"""The conformance suite of keyrings, which protect the keys of all secrets at rest."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from certcore.errors import CertCoreError, NotFoundError, SealingKeyInUseError, UnknownSealingKeyError, UnsealError
from certcore.model.plugin_results import with_article
from certcore.ports.sealing import ChangesKeys, Keyring
from certcore.testing.conformance.hooks import HookEvidence
from certcore.testing.conformance.processes import all_at_once
from certcore.testing.conformance.values import (
    ConformanceCheck,
    NotApplicableError,
    Suite,
    check_of,
    require,
)

__all__ = ["KEYRING_CHECKS", "KeyringEvidence"]

_DATA_KEY: Final = bytes(range(32))
_BOUND: Final = b"conformance/one"


class KeyringEvidence(HookEvidence):
    """A keyring. The checks use its keys, and if its keys can be changed, they add and remove one.

    Args:
        keyring: The keyring to check.
    """

    def __init__(self, keyring: Keyring) -> None:
        super().__init__(keyring)
        self.keyring = keyring

    def value(self, method: str, declared: Any, *arguments: Any, **named: Any) -> Any:
        """The result of a method, checked and copied.

        Raises:
            RuleBrokenError: The method raised an exception or returned a value of another type.
        """
        return self.result(self.run(method, getattr(self.keyring, method), named, *arguments), declared)

    def wrapped(self, bound_to: bytes = _BOUND) -> tuple[str, bytes]:
        """The data key, wrapped."""
        key_id, wrapped_key = self.value("wrap", tuple[str, bytes], _DATA_KEY, bound_to=bound_to)
        return key_id, wrapped_key

    def refused(self, kind: type[CertCoreError], case: str, method: str, *arguments: Any, **named: Any) -> None:
        """Require that a call is refused with an error.

        Raises:
            RuleBrokenError: The call was not refused, or raised another error.
        """
        call = self.run(method, getattr(self.keyring, method), named, *arguments)
        require(call.raised is not None, f"{method} accepts {case}.")
        is_right = isinstance(call.raised, kind)
        require(is_right, f"{case}: {call.failure or method}\n{kind.__name__} is the error for that.")


def _ids(evidence: KeyringEvidence) -> None:
    keyring: Any = evidence.keyring
    call = evidence.run("key_ids", getattr, {}, keyring, "key_ids")
    require(call.raised is None, call.failure)
    key_ids = call.returned
    is_set = isinstance(key_ids, frozenset) and all(isinstance(key_id, str) and key_id for key_id in key_ids)
    require(is_set, f"key_ids is {with_article(key_ids)}, where a frozenset of texts belongs.")
    current = evidence.run("current_key_id", getattr, {}, keyring, "current_key_id")
    require(current.raised is None, current.failure)
    require(current.returned in key_ids, f"The current key {current.returned!r} is not among key_ids.")


def _round_trip(evidence: KeyringEvidence) -> None:
    key_id, wrapped_key = evidence.wrapped()
    require(key_id == evidence.keyring.current_key_id, f"wrap used the key {key_id!r}, which is not the current one.")
    data_key = evidence.value("unwrap", bytes, key_id, wrapped_key, bound_to=_BOUND)
    require(data_key == _DATA_KEY, "unwrap returned another data key than was wrapped.")


def _hidden(evidence: KeyringEvidence) -> None:
    _, wrapped_key = evidence.wrapped()
    require(_DATA_KEY not in wrapped_key, "The wrapped bytes hold the data key in the open.")


def _bound(evidence: KeyringEvidence) -> None:
    key_id, wrapped_key = evidence.wrapped()
    evidence.refused(
        UnsealError, "a data key that was wrapped for another row", "unwrap", key_id, wrapped_key, bound_to=b"other"
    )


def _tampered(evidence: KeyringEvidence) -> None:
    key_id, wrapped_key = evidence.wrapped()
    changed = bytes([wrapped_key[0], *wrapped_key[1:-1], wrapped_key[-1] ^ 1])
    for case, wrong in (("changed bytes", changed), ("cut bytes", wrapped_key[:-1]), ("no bytes", b"")):
        evidence.refused(UnsealError, case, "unwrap", key_id, wrong, bound_to=_BOUND)


def _unknown_key(evidence: KeyringEvidence) -> None:
    _, wrapped_key = evidence.wrapped()
    evidence.refused(
        UnknownSealingKeyError, "a key id that it does not hold", "unwrap", "no-such-key", wrapped_key, bound_to=_BOUND
    )


def _changing(evidence: KeyringEvidence) -> Any:
    if not isinstance(evidence.keyring, ChangesKeys):
        raise NotApplicableError("The keyring does not change its keys.")
    return evidence.keyring


def _added(evidence: KeyringEvidence) -> None:
    keyring = _changing(evidence)
    before = keyring.current_key_id
    key_id, wrapped_key = evidence.wrapped()
    new = evidence.value("add_key", str)
    require(new in keyring.key_ids, "A key that was added is not among key_ids.")
    require(keyring.current_key_id == before, "add_key made the new key the current one.")
    try:
        evidence.value("make_current", None, new)
        evidence.value("make_current", None, new)
        require(keyring.current_key_id == new, "make_current did not make the key the current one.")
        again = evidence.value("unwrap", bytes, key_id, wrapped_key, bound_to=_BOUND)
        require(again == _DATA_KEY, "What was wrapped with the key before cannot be unwrapped any more.")
    finally:
        keyring.make_current(before)
        keyring.remove_key(new)
    require(new not in keyring.key_ids, "A key that was removed is still among key_ids.")


def _change_refusals(evidence: KeyringEvidence) -> None:
    keyring = _changing(evidence)
    evidence.refused(SealingKeyInUseError, "to remove the current key", "remove_key", keyring.current_key_id)
    evidence.refused(NotFoundError, "to remove a key that is not there", "remove_key", "no-such-key")
    evidence.refused(NotFoundError, "a current key that is not there", "make_current", "no-such-key")


def _threads(evidence: KeyringEvidence) -> None:
    def round_trip(number: int) -> None:
        bound_to = f"conformance/{number}".encode()
        for _ in range(5):
            key_id, wrapped_key = evidence.wrapped(bound_to)
            data_key = evidence.value("unwrap", bytes, key_id, wrapped_key, bound_to=bound_to)
            require(data_key == _DATA_KEY, "unwrap returned another data key than was wrapped.")

    all_at_once([partial(round_trip, number) for number in range(4)])


def _checks() -> Iterator[ConformanceCheck]:
    check = check_of(Suite.KEYRING)
    yield check(
        "key-ids",
        "key_ids is a frozenset of texts, and the current key is one of them.",
        "certcore looks for keys that secrets are sealed with before it starts.",
        _ids,
    )
    yield check(
        "round-trip",
        "wrap uses the current key and returns its id; unwrap returns what was wrapped.",
        "Every secret in the store depends on it.",
        _round_trip,
        needs=("key-ids",),
    )
    yield check(
        "hidden",
        "The wrapped bytes do not hold the data key.",
        "Whoever reads the database would read the secrets.",
        _hidden,
        needs=("round-trip",),
    )
    yield check(
        "binding",
        "unwrap refuses with UnsealError what was wrapped with another `bound_to`.",
        "A row of one tenant that is copied over that of another one would open.",
        _bound,
        needs=("round-trip",),
    )
    yield check(
        "tampering",
        "unwrap refuses with UnsealError bytes that were changed, cut or left out.",
        "Anything else is taken for a failure of the keyring, and tried again.",
        _tampered,
        needs=("round-trip", "binding"),
    )
    yield check(
        "unknown-key",
        "unwrap refuses with UnknownSealingKeyError a key id that the keyring does not hold.",
        "The error tells the administrator which key is missing.",
        _unknown_key,
        needs=("round-trip",),
    )
    yield check(
        "new-keys",
        "A key that is added is not the current one before make_current; what older keys have wrapped still opens.",
        "Sealing keys are changed while the panel runs.",
        _added,
        needs=("round-trip",),
    )
    yield check(
        "key-refusals",
        "The current key cannot be removed (SealingKeyInUseError), and unknown keys are a NotFoundError.",
        "Removing the current key would lose every secret that is sealed with it.",
        _change_refusals,
        needs=("round-trip", "new-keys"),
    )
    yield check(
        "thread-safe",
        "wrap and unwrap may be called from several threads at once.",
        "A worker has several threads.",
        _threads,
        needs=("round-trip",),
    )
    yield check(
        "quiet",
        "No method prints anything.",
        "What is printed ends up in the output of every command, and breaks its JSON.",
        HookEvidence.require_quiet,
        needs=("round-trip",),
    )


#: In the order in which they are run.
KEYRING_CHECKS: Final = tuple(_checks())
