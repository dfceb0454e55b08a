"""Files that a CA module hands out: the root of the CA, its CRL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from certcore.model.hints import Message
from certcore.model.views import CertificateView
from certcore.ports.ca_module import ModuleContext

__all__ = ["ModuleFile", "SupportsFiles"]


@frozen(kw_only=True)
class ModuleFile:
    """A public file of a CA profile or a certificate; without private keys and secrets."""

    #: What it is called when it is saved: letters, digits and ``. _ @ + -``, no folders, different from the others also
    #: in lower case.
    name: str
    #: Its media type (RFC 6838) without parameters, for example ``application/pkix-crl``; not one that browsers run.
    media_type: str
    content: bytes = field(repr=False)
    #: What it is, for people.
    label: Message


@runtime_checkable
class SupportsFiles(Protocol):
    """A module that hands out files. At most 20 files of 10 MiB together are taken from one call."""

    @abstractmethod
    def profile_files(self, context: ModuleContext) -> Sequence[ModuleFile]:
        """The files of a CA profile: its root, its CRL. SHOULD NOT touch the network."""
        ...

    @abstractmethod
    def certificate_files(self, view: CertificateView, context: ModuleContext) -> Sequence[ModuleFile]:
        """The files of a certificate: a contract, say. SHOULD NOT touch the network."""
        ...
