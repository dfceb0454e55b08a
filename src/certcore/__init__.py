"""certcore: the whole life of TLS certificates inside somebody else's software.

`CertCore` is the one object to hold; what goes in and comes out are frozen values.
"""

from certcore.core import CertCore
from certcore.errors import CertCoreError
from certcore.hookspecs import hookimpl
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action, Status
from certcore.model.renewal import RenewalPolicy
from certcore.model.subject import Subject

__all__ = [
    "Action",
    "CertCore",
    "CertCoreError",
    "KeyType",
    "RenewalPolicy",
    "Status",
    "Subject",
    "hookimpl",
]
