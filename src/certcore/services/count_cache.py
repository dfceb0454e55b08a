"""The recent counts of this process, for dashboards."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from certcore.model.counts import CertificateCounts

__all__ = ["CountCache"]

#: How many counts are kept: a panel with many tenants needs one for each.
_MOST: Final = 1000

_Key = tuple[str | None, str | None]


@define(eq=False)
class CountCache:
    """Counts by CA profile and owner. It has no lock, which a fork could leave locked: each operation is atomic."""

    _counts: dict[_Key, CertificateCounts] = field(factory=dict, init=False, repr=False)

    def get(self, key: _Key) -> CertificateCounts | None:
        """The last count; None if there is none, or if it was dropped."""
        return self._counts.get(key)

    def put(self, key: _Key, counts: CertificateCounts) -> None:
        """Keep a count."""
        if len(self._counts) >= _MOST:
            self._counts.clear()
        self._counts[key] = counts
