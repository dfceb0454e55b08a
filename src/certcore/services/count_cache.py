"""The recent counts of this process, for dashboards."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from certcore.model.counts import CertificateCounts

__all__ = ["CountCache"]

#: The largest number of cached counts: a panel needs one for each tenant.
_MOST: Final = 1000

_Key = tuple[str | None, str | None]


@define(eq=False)
class CountCache:
    """Counts by CA profile and owner. Operations are atomic: there is no lock that a fork could leave locked."""

    _counts: dict[_Key, CertificateCounts] = field(factory=dict, init=False, repr=False)

    def get(self, key: _Key) -> CertificateCounts | None:
        """The last count; None if there is none, or if it was dropped."""
        return self._counts.get(key)

    def put(self, key: _Key, counts: CertificateCounts) -> None:
        """Keep a count."""
        if len(self._counts) >= _MOST:
            self._counts.clear()
        self._counts[key] = counts
