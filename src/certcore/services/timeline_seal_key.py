"""The key that seals timelines. It is generated once, and sealed like every other secret."""

from __future__ import annotations

import logging
from typing import Final

from certcore.errors import StorageError
from certcore.messages import Message
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import Vault
from certcore.ports.storage import Storage

__all__ = ["RECORD_KEY", "use_record_key"]

_log = logging.getLogger(__name__)
RECORD_KEY: Final = SecretName("record-key", "1")


def use_record_key(storage: Storage, vault: Vault, fresh: Secret) -> None:
    """Let a store seal its timelines. If it has no key yet, existing timelines are sealed, too.

    Existing timelines without a seal are accepted unchecked only at that moment. This is logged, because a database
    whose key was removed looks the same.

    Args:
        storage: The store.
        vault: Opens and seals the key.
        fresh: 32 random bytes, the new key for a store that has none.

    Raises:
        SealingError: The stored key cannot be opened.
    """
    with storage.read() as transaction:
        sealed = transaction.secrets.get(RECORD_KEY)
    if sealed is None:
        new = vault.seal(fresh, RECORD_KEY)
        with storage.write() as transaction:
            if transaction.secrets.add(RECORD_KEY, new):
                count = transaction.timelines.seal_all(fresh.reveal())
                if count:
                    _log.warning("The timelines of %d certificates were sealed with a new key.", count)
            sealed = transaction.secrets.get(RECORD_KEY)
    if sealed is None:
        raise StorageError(Message("core.no_timeline_key", "The key that seals the timelines is not in the store."))
    storage.use_record_key(vault.open(sealed, RECORD_KEY).reveal())
