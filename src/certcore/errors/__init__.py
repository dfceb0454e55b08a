"""Every error that certcore raises on purpose, as one tree.

::

    CertCoreError
    ├── InvalidInput             a field was refused at the door
    │   └── InvalidName          … because it is not a usable DNS name
    ├── NotFound                 nothing of that kind under that id or name
    ├── NotObtained              a certificate that was waited for did not come
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
    │   ├── KeyNotOfCertificate  the stored key is not that of the leaf
    │   ├── KeyringRefused       the keyring cannot be used as it is
    │   ├── SealingKeyInUse      a key that cannot be retired yet
    │   ├── UnknownSealingKey    sealed with a key that the keyring lacks
    │   ├── UnsealFailed         changed, moved, or sealed for something else
    │   └── WrongSealingKey      the keyring's key of that id is another one
    ├── StorageError             the database
    │   ├── DatabaseTooNew       written by a newer certcore
    │   └── StorageUnavailable   cannot be reached or used right now
    │       └── StorageBusy      another transaction holds a lock on these rows
    ├── PluginError              a plugin broke its promise
    │   └── UnknownModule        no CA module of that name is loaded
    └── CAError                  the certification authority refused or failed

Errors carry data; ``str(error)`` is a sentence for a person, ``advice`` says what to do next, and ``as_dict`` is
the same for machines. No error ever carries a secret.
"""

from __future__ import annotations

from certcore.errors.base import (
    AccessDenied,
    AlreadyExists,
    AmbiguousName,
    CertCoreError,
    InUse,
    InvalidInput,
    InvalidName,
    LeaseLost,
    NotFound,
    NotObtained,
    StaleWrite,
    TransitionNotAllowed,
)
from certcore.errors.outside import CAError, PluginError, UnknownModule
from certcore.errors.sealing import (
    KeyNotOfCertificate,
    KeyringRefused,
    SealingError,
    SealingKeyInUse,
    UnknownSealingKey,
    UnsealFailed,
    WrongSealingKey,
)
from certcore.errors.storage import DatabaseTooNew, StorageBusy, StorageError, StorageUnavailable
from certcore.errors.x509 import KeyMismatch, LeafRejected, UnreadablePem, X509Error

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
    "KeyNotOfCertificate",
    "KeyringRefused",
    "LeafRejected",
    "LeaseLost",
    "NotFound",
    "NotObtained",
    "PluginError",
    "SealingError",
    "SealingKeyInUse",
    "StaleWrite",
    "StorageBusy",
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
