"""Obtain a certificate with a single call, for scripts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Unpack

from certcore.core import CertCore
from certcore.model.certificate_form import CertificateOptions
from certcore.model.views import CertificateView
from certcore.ports.sealing import Keyring

__all__ = ["obtain"]


def obtain(
    domain: str | None = None,
    *,
    authority: str,
    database: str = "sqlite:///certcore.db",
    keyring: str | os.PathLike[str] | Keyring = "keyring.json",
    timeout: float = 600.0,
    progress: Callable[[CertificateView], object] | None = None,
    **options: Unpack[CertificateOptions],
) -> CertificateView:
    """Open a store, obtain a certificate as `CertCore.obtain` does, and close the store again.

    Args:
        domain: The primary name; None with a ``csr``.
        authority: The ID or name of a CA profile in the store.
        database: As in `CertCore.open`.
        keyring: As in `CertCore.open`.
        timeout: How many seconds to wait.
        progress: Called with the certificate's view after each change.
        options: As in `CertCore.obtain`.

    Raises:
        NotObtainedError: The time limit passed, or the CA refused permanently. The issuance is kept, and the next call
            continues it.
        CertCoreError: As in `CertCore.open` and `CertCore.obtain`.
    """
    with CertCore.open(database, keyring=keyring) as core:
        return core.obtain(domain, authority=authority, timeout=timeout, progress=progress, **options)
