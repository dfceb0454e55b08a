"""Every error that certcore raises on purpose, as one tree.

::

    CertCoreError
    ├── InvalidInputError                a field was refused before anything was stored
    │   ├── InvalidFieldsError           … and others with it
    │   ├── InvalidNameError             … because it is not a usable DNS name
    │   └── UnknownModuleError           … because no CA module of that name is loaded
    ├── NotFoundError                    no object of that kind has this ID or name
    ├── NotObtainedError                 `obtain` ended without a certificate
    ├── AmbiguousNameError               several objects have this name
    ├── AlreadyExistsError               the name is taken
    ├── InUseError                       other objects need what was to be deleted
    ├── StaleWriteError                  another save came first
    ├── TransitionNotAllowedError        the status does not permit the action
    ├── LeaseLostError                   another worker took the certificate over
    ├── AccessDeniedError                the panel's policy refused
    ├── CertificateError                 a certificate is not in a state in which this can be done
    │   ├── ActionRefusedError           the CA module refused an action on it
    │   ├── CertificateBusyError         a step runs at this moment
    │   ├── NoIssuanceError              no issuance is under way
    │   ├── NotIssuedError               there is no leaf or no CSR yet
    │   ├── PrivateKeyNotStoredError     the private key is somewhere else
    │   └── RevocationNotPossibleError   the CA cannot be asked to revoke this leaf
    ├── X509Error                        keys, CSRs and certificates
    │   ├── UnreadablePemError           not the expected PEM
    │   ├── KeyMismatchError             the key does not belong to the certificate
    │   └── LeafRejectedError            the CA returned another certificate than the one asked for
    ├── SealingError                     secrets at rest
    │   ├── StoredKeyMismatchError       the stored key is not that of the leaf
    │   ├── KeyringError                 the keyring cannot be used
    │   ├── SealingKeyInUseError         the key cannot be retired yet
    │   ├── UnknownSealingKeyError       the keyring lacks the key of a secret
    │   ├── UnsealError                  a secret was changed, moved, or sealed with another key
    │   └── WrongSealingKeyError         the keyring's key of that ID is another one
    ├── StorageError                     the database
    │   ├── DatabaseTooNewError          a newer certcore wrote it
    │   ├── StorageReadOnlyError         this process only reads
    │   └── StorageUnavailableError      it cannot be reached or used now
    │       ├── DatabaseOutdatedError    its tables are to be migrated first
    │       └── StorageBusyError         another transaction holds a lock on these rows
    ├── PluginError                      a plugin broke its contract
    ├── CAError                          the certification authority refused or failed
    ├── ZoneWriteError                   a DNS server did not take TXT values
    ├── FileError                        a file or directory cannot be used
    ├── MissingPackageError              an optional package is not installed
    └── TakeoverError                    files of another ACME client cannot be used

``str(error)`` is a sentence for a person. ``code`` is stable, ``params`` has the values in the sentence, ``advice``
says what to do next, ``http_status`` is for a REST API, and ``as_dict()`` is the JSON form. No error carries a secret.

Plugins may raise `CertCoreError` itself, or a subclass with a ``code`` of its own.
"""

from __future__ import annotations

from certcore.errors.base import (
    AccessDeniedError,
    AlreadyExistsError,
    AmbiguousNameError,
    CertCoreError,
    InUseError,
    InvalidFieldsError,
    InvalidInputError,
    InvalidNameError,
    LeaseLostError,
    NotFoundError,
    NotObtainedError,
    StaleWriteError,
    TransitionNotAllowedError,
)
from certcore.errors.certificates import (
    ActionRefusedError,
    CertificateBusyError,
    CertificateError,
    NoIssuanceError,
    NotIssuedError,
    PrivateKeyNotStoredError,
    RevocationNotPossibleError,
)
from certcore.errors.local import (
    FileError,
    MissingPackageError,
    TakeoverError,
)
from certcore.errors.outside import (
    CAError,
    PluginError,
    UnknownModuleError,
    ZoneWriteError,
)
from certcore.errors.sealing import (
    KeyringError,
    SealingError,
    SealingKeyInUseError,
    StoredKeyMismatchError,
    UnknownSealingKeyError,
    UnsealError,
    WrongSealingKeyError,
)
from certcore.errors.storage import (
    DatabaseOutdatedError,
    DatabaseTooNewError,
    StorageBusyError,
    StorageError,
    StorageReadOnlyError,
    StorageUnavailableError,
)
from certcore.errors.x509 import (
    KeyMismatchError,
    LeafRejectedError,
    UnreadablePemError,
    X509Error,
)

__all__ = [
    "AccessDeniedError",
    "ActionRefusedError",
    "AlreadyExistsError",
    "AmbiguousNameError",
    "CAError",
    "CertCoreError",
    "CertificateBusyError",
    "CertificateError",
    "DatabaseOutdatedError",
    "DatabaseTooNewError",
    "FileError",
    "InUseError",
    "InvalidFieldsError",
    "InvalidInputError",
    "InvalidNameError",
    "KeyMismatchError",
    "KeyringError",
    "LeafRejectedError",
    "LeaseLostError",
    "MissingPackageError",
    "NoIssuanceError",
    "NotFoundError",
    "NotIssuedError",
    "NotObtainedError",
    "PluginError",
    "PrivateKeyNotStoredError",
    "RevocationNotPossibleError",
    "SealingError",
    "SealingKeyInUseError",
    "StaleWriteError",
    "StorageBusyError",
    "StorageError",
    "StorageReadOnlyError",
    "StorageUnavailableError",
    "StoredKeyMismatchError",
    "TakeoverError",
    "TransitionNotAllowedError",
    "UnknownModuleError",
    "UnknownSealingKeyError",
    "UnreadablePemError",
    "UnsealError",
    "WrongSealingKeyError",
    "X509Error",
    "ZoneWriteError",
]
