"""The exceptions of certcore, in one tree.

::

    CertCoreError
    ├── InvalidInputError                a value was refused before anything was stored
    │   ├── InvalidFieldsError           several values were refused
    │   ├── InvalidNameError             a name cannot be in a certificate
    │   └── UnknownModuleError           … because no CA module of that name is loaded
    ├── NotFoundError                    no object of that kind has this ID or name
    ├── NotObtainedError                 `obtain` ended without a certificate
    ├── AmbiguousNameError               several objects have this name
    ├── AlreadyExistsError               the name is taken
    ├── InUseError                       other objects use the object, so it cannot be deleted
    ├── StaleWriteError                  the object was changed after it was read
    ├── TransitionNotAllowedError        the status does not permit the action
    ├── LeaseLostError                   another worker took the certificate over
    ├── AccessDeniedError                the panel's policy refused
    ├── CertificateError                 the state of a certificate does not allow the operation
    │   ├── ActionRefusedError           the CA module refused an action on it
    │   ├── CertificateBusyError         a step of the certificate is running
    │   ├── NoIssuanceError              no issuance is under way
    │   ├── NotIssuedError               there is no leaf or no CSR yet
    │   ├── PrivateKeyNotStoredError     the private key is not in this store
    │   └── RevocationNotPossibleError   the CA cannot be asked to revoke this leaf
    ├── X509Error                        a key, CSR or certificate is faulty
    │   ├── UnreadablePemError           the text is not the expected PEM
    │   ├── KeyMismatchError             the key does not belong to the certificate
    │   └── LeafRejectedError            the CA returned a leaf that does not match the request
    ├── SealingError                     a stored secret cannot be sealed or opened
    │   ├── StoredKeyMismatchError       the stored key does not belong to the leaf
    │   ├── KeyringError                 the keyring cannot be used
    │   ├── SealingKeyInUseError         the key cannot be retired yet
    │   ├── UnknownSealingKeyError       the keyring lacks the key of a secret
    │   ├── UnsealError                  a secret was changed, moved, or sealed with another key
    │   └── WrongSealingKeyError         the keyring has another key with the same ID
    ├── StorageError                     the database refused or failed
    │   ├── DatabaseTooNewError          a newer certcore wrote the database
    │   ├── StorageReadOnlyError         this process opened the database for reading only
    │   └── StorageUnavailableError      the database cannot be reached or used now
    │       ├── DatabaseOutdatedError    the tables must be migrated first
    │       └── StorageBusyError         another transaction holds a lock on these rows
    ├── PluginError                      a plugin broke its contract
    ├── CAError                          the certification authority refused or failed
    ├── ZoneWriteError                   a DNS server did not accept TXT values
    ├── FileError                        a file or directory cannot be used
    ├── MissingPackageError              an optional package is not installed
    └── TakeoverError                    files of another ACME client cannot be used

``str(error)`` is a sentence for a person. ``code`` is a stable identifier, ``params`` has the values in the sentence,
``advice`` says what to do next, ``http_status`` is for a REST API, and ``as_dict()`` is the JSON form. No error
contains a secret.

Plugins may raise `CertCoreError` itself, or a subclass with its own ``code``.
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
