"""Public files that a CA module offers for download, for example the CA's root and its CRL."""

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
    """A public file of a CA profile or a certificate. It must not contain private keys or secrets."""

    #: The file name: letters, digits and ``. _ @ + -``, without folders. The names of one call must differ even when
    #: case is ignored.
    name: str
    #: The media type (RFC 6838) without parameters, for example ``application/pkix-crl``. Types that browsers execute
    #: are refused.
    media_type: str
    content: bytes = field(repr=False)
    #: The displayed description.
    label: Message


@runtime_checkable
class SupportsFiles(Protocol):
    """A module that offers files. One call may return at most 20 files, of 10 MiB in total."""

    @abstractmethod
    def profile_files(self, context: ModuleContext) -> Sequence[ModuleFile]:
        """The files of a CA profile, for example its root and CRL. SHOULD NOT use the network."""
        ...

    @abstractmethod
    def certificate_files(self, view: CertificateView, context: ModuleContext) -> Sequence[ModuleFile]:
        """The files of a certificate, for example a contract. SHOULD NOT use the network."""
        ...
