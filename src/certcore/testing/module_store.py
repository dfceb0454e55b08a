"""A CA module's documents in memory, for tests."""

from __future__ import annotations

from certcore.adapters.keyrings.static import StaticKeyring
from certcore.adapters.keyrings.vault import EnvelopeVault
from certcore.adapters.memory import MemoryStorage
from certcore.engine.module_store import StoredDocuments

__all__ = ["MemoryDocuments"]


class MemoryDocuments(StoredDocuments):
    """The documents and secrets of one CA module, in a separate store in memory. Thread-safe."""

    def __init__(self) -> None:
        super().__init__(storage=MemoryStorage(), vault=EnvelopeVault(StaticKeyring.generate()), namespace="module")
