"""A complete panel on loopback: a core, an ACME server, the tech zone's DNS server and a customer's DNS zone."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from attrs import field, frozen

from certcore.core import CertCore
from certcore.errors import CertCoreError
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.hints import DnsRecords
from certcore.model.lifecycle import Status
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.pebble import Pebble

__all__ = ["IssuingPanel", "NotIssuedInTimeError"]

_MODULE: Final = "puq_acme"
_TECH_ZONE: Final = "acme.panel.test"
_PAUSE: Final = 0.05


class NotIssuedInTimeError(CertCoreError):
    """A certificate did not become active in time. The message says what it waits for."""

    code = "not_issued_in_time"


@frozen(kw_only=True, eq=False)
class IssuingPanel:
    """A panel that obtains certificates from Pebble, validated with dns-01 through CNAMEs in a customer's zone.

    ::

        with IssuingPanel.start() as panel:
            certificate = panel.obtain("www.shop.test")
            print(panel.core.certificates.view(certificate.id).leaf)

    It needs certcore's ACME module and the program Pebble.
    """

    #: The core of the panel.
    core: CertCore
    #: A working CA profile.
    authority: CertificateAuthority
    #: The zone of a customer, in which certificates can be obtained.
    zone: MemoryZone
    #: The ACME server.
    pebble: Pebble
    _closing: ExitStack = field(repr=False)

    @classmethod
    def start(cls, *, zone: str = "shop.test", plugins: tuple[object, ...] = ()) -> Self:
        """Start all servers and create a CA profile.

        Args:
            zone: The name of the customer's zone.
            plugins: Plugins of the core in addition to the installed ones.

        Raises:
            ProgramMissingError: Pebble is not installed.
            ServerStartError: Pebble did not start.
        """
        customer = MemoryZone(zone)
        with ExitStack() as opening:
            core = opening.enter_context(CertCore.in_memory(plugins=plugins))
            server = core.dns_server(listen=("127.0.0.1", 0), module=_MODULE, also=[customer])
            opening.callback(server.close)
            address = f"127.0.0.1:{server.address[1]}"
            pebble = opening.enter_context(Pebble.start(dns_server=address))
            settings = {
                "ca": "custom",
                "directory_url": pebble.directory_url,
                "trusted_roots": pebble.roots_pem,
                "terms_agreed": True,
                "tech_zone": _TECH_ZONE,
                "tech_zone_nameservers": f"ns.{_TECH_ZONE} 127.0.0.1",
                "dns_servers": address,
            }
            authority = core.authorities.create("pebble", module=_MODULE, settings=settings)
            return cls(core=core, authority=authority, zone=customer, pebble=pebble, closing=opening.pop_all())

    def obtain(self, domain: str, *, seconds: float = 60.0) -> Certificate:
        """Request a certificate, set the CNAMEs of its hints, and take steps until it is active.

        Args:
            domain: A name in the customer's zone.
            seconds: The time limit.

        Raises:
            NotIssuedInTimeError: The certificate is not active in time, or failed permanently.
        """
        draft = self.core.certificates.create(domain, authority=self.authority.id)
        self.set_records(draft.id)
        self.core.certificates.generate_csr(draft.id)
        end = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            self.core.reconcile(draft.id)
            certificate = self.core.certificates.get(draft.id)
            if certificate.status is Status.ACTIVE:
                return certificate
            if certificate.status is Status.ERROR or time.monotonic() > end:
                problem = "" if certificate.problem is None else f": {certificate.problem.title}"
                raise NotIssuedInTimeError(f"{domain} is {certificate.status}{problem}")
            pause.wait(_PAUSE)

    def set_records(self, certificate_id: str) -> None:
        """Set the DNS records of a certificate's hints in the customer's zone, as its owner would."""
        for hint in self.core.certificates.hints(certificate_id):
            for row in hint.rows if isinstance(hint, DnsRecords) else ():
                self.zone.set(row.name, row.type, row.value)

    def close(self) -> None:
        """Stop all servers."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
