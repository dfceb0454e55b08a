"""The in-memory repository of sealed secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import define

from certcore.model.secret import SealedSecret, SecretName

__all__ = ["MemorySecrets"]


@define(eq=False)
class MemorySecrets:
    """Implements `certcore.ports.storage.SecretRepository`."""

    rows: dict[SecretName, SealedSecret]

    def put(self, name: SecretName, sealed: SealedSecret) -> None:
        """Store a sealed secret, replacing one of the same name."""
        self.rows[name] = sealed

    def add(self, name: SecretName, sealed: SealedSecret) -> bool:
        """Store a sealed secret unless the name exists."""
        return self.rows.setdefault(name, sealed) is sealed

    def get(self, name: SecretName) -> SealedSecret | None:
        """A sealed secret; None if it does not exist."""
        return self.rows.get(name)

    def delete(self, name: SecretName) -> None:
        """Delete a sealed secret; no error if it does not exist."""
        self.rows.pop(name, None)

    def names(self, purpose: str, *, prefix: str = "") -> Sequence[SecretName]:
        """The names of the secrets of a purpose whose owner_id starts with ``prefix``."""
        rows = [row for row in self.rows if row.purpose == purpose and row.owner_id.startswith(prefix)]
        return sorted(rows, key=_order)

    def key_ids(self) -> Sequence[str]:
        """The IDs of the keys that secrets are sealed with."""
        return sorted({sealed.key_id for sealed in self.rows.values()})

    def count_by_key(self) -> Mapping[str, int]:
        """The number of secrets sealed with each key."""
        return Counter(sealed.key_id for sealed in self.rows.values())

    def sealed_otherwise(
        self, key_id: str, *, limit: int, after: SecretName | None = None
    ) -> Sequence[tuple[SecretName, SealedSecret]]:
        """Secrets that are sealed with another key than this one, by name."""
        rows = [
            name
            for name, sealed in self.rows.items()
            if sealed.key_id != key_id and (after is None or _order(name) > _order(after))
        ]
        return [(name, self.rows[name]) for name in sorted(rows, key=_order)[:limit]]

    def replace(self, name: SecretName, old: SealedSecret, new: SealedSecret) -> bool:
        """Replace a sealed secret if it has not changed since it was read."""
        if self.rows.get(name) != old:
            return False
        self.rows[name] = new
        return True


def _order(name: SecretName) -> tuple[str, str]:
    return name.purpose, name.owner_id
