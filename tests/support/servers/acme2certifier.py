"""acme2certifier, an ACME server that shares no code with Pebble, as a child process for tests.

::

    with Acme2certifier.start(dns_server="127.0.0.1:5353", profiles={"tlsserver": "90 days"}) as server:
        http = Http(extra_roots=server.roots_pem)
        client = AcmeClient(server.directory_url, key=key, http=http)

It listens on a free loopback port; nothing outside a temporary folder is written. It is the PyPI package
``acme2certifier`` (written for 0.46.3), which must be installed for the interpreter that runs it.

What it does otherwise than Pebble, and other servers may do as well:

- An order stays ``pending`` when an authorization fails; only the authorization says so, and never why.
- An order whose CSR was refused stays ``processing`` and takes no other.
- Any POST to a challenge has it checked, POST-as-GET and one to a challenge that failed included.
- A challenge is checked once, before the reply; only the first string of a TXT record is looked at.
- An authorization cannot be deactivated: the request is answered as if nothing had been asked.
- newAccount with a known key replaces the account's contacts, and the reply is an empty object.
- A certificate is revoked by the account only, not by its own key.
- ``replaces``, ``notBefore``, ``notAfter`` are ignored; there are no alternate chains; no authorization is reused.
"""

from __future__ import annotations

import json
import ssl
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certcore.adapters.environment import SystemEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.pebble import write_throwaway_tls
from certcore.testing.ports import free_port
from certcore.testing.server import (
    START_SECONDS,
    START_TRIES,
    Child,
    ProgramMissingError,
    Server,
    ServerStartError,
    uninterrupted,
)
from support.servers import acme2certifier_wsgi

__all__ = ["Acme2certifier", "Switches"]

_HANDLER: Final = "acme2certifier.cahandlers.openssl_ca_handler"
_EAB_HANDLER: Final = "acme2certifier.eabhandlers.json_handler"
_CRL: Final = "crl.pem"


@frozen(kw_only=True)
class Switches:
    """What the server can be told. Where its own default is another, the field says so."""

    #: The terms of service, a URL; when there is one, a new account must agree.
    terms: str = ""
    #: Whether a new account needs a contact; it does by the server's own default.
    contact_required: bool = False
    #: Key id to base64url HMAC key; when given, new accounts need external account binding.
    eab: Mapping[str, str] = field(factory=dict, repr=False)
    #: Whether accounts without a binding are accepted beside those with one.
    eab_optional: bool = False
    #: Profile names and what the directory says about them. With a single one, it stands in for any unknown name.
    profiles: Mapping[str, str] = field(factory=dict)
    #: How many days the certificates of a profile live, where that is not ``days``.
    profile_days: Mapping[str, int] = field(factory=dict)
    #: How many days certificates live; 365 by the server's own default.
    days: int = 90
    #: Whether it offers renewal information (RFC 9773).
    renewal_info: bool = True
    #: After how many percent of a certificate's life the suggested window begins.
    renewal_percent: float = 85.0
    #: How long the suggested window is, in whole seconds; to the end of the certificate's life when None.
    renewal_window: timedelta | None = None
    #: Whether all certificates are to be renewed now: the window began a year ago and ends tomorrow.
    renewal_now: bool = False
    #: The Retry-After of renewal information, in seconds.
    renewal_retry_after: int = 86400
    #: Whether dns-persist-01 is offered beside the others.
    dns_persist: bool = False
    #: Whether dns-persist-01 validates wildcards, for records that say ``policy=wildcard``; not by its own default.
    dns_persist_wildcards: bool = True
    #: Whether dns-persist-01 is tried already when the authorization is fetched, without an answer. This also puts an
    #: order that is ``valid`` back to ``ready``, so that its certificate cannot be downloaded any more.
    dns_persist_unasked: bool = False
    #: The directory's ``caaIdentities``, dns-persist-01's ``issuer-domain-names`` too; none by its own default.
    caa_identities: Sequence[str] = ("ca.test",)
    #: Domains whose authorizations are valid as soon as they are fetched; ``*.a.test`` for all names below a.test.
    prevalidated: Sequence[str] = ()
    #: How many names an order may have.
    identifier_limit: int = 20
    #: How many seconds an order and its authorizations live.
    order_seconds: int = 86400
    #: How many seconds the reply to finalize waits for the certificate; with 0 the order may still be ``processing``.
    enrollment_seconds: int = 5
    #: The Retry-After of an order that is ``processing``, in seconds; 600 by the server's own default.
    retry_after: int = 1

    def configuration(self, folder: Path) -> ConfigParser:
        """The server's ``acme_srv.cfg``.

        Args:
            folder: Where its files are.
        """
        found = ConfigParser(interpolation=None)
        found.optionxform = str  # type: ignore[assignment,method-assign]
        found.read_dict(
            {
                "DBhandler": {"handler": "wsgi", "dbfile": folder / "acme.db"},
                "Nonce": {"nonce_check_disable": False},
                "Account": {"contact_check_disable": not self.contact_required},
                "Directory": {"caaidentities": json.dumps(list(self.caa_identities))},
                "Authorization": {"validity": self.order_seconds},
                "Certificate": {"enrollment_timeout": self.enrollment_seconds, "retry_after": self.retry_after},
                "Order": {
                    "validity": self.order_seconds,
                    "identifier_limit": self.identifier_limit,
                    "retry_after_timeout": self.retry_after,
                },
                "Challenge": {
                    "dns_persist_01_support": self.dns_persist,
                    "dns_persist_allow_policy_wildcard": self.dns_persist_wildcards,
                    "dns_persist_jit_validation": self.dns_persist_unasked,
                },
                "Renewalinfo": {
                    "renewalinfo_disable": not self.renewal_info,
                    "renewal_force": self.renewal_now,
                    "renewalthreshold_pctg": self.renewal_percent,
                    "retry_after_timeout": self.renewal_retry_after,
                },
            }
        )
        if self.terms:
            found["Directory"]["tos_url"] = self.terms
        if self.prevalidated:
            found["Authorization"]["prevalidated_domainlist"] = json.dumps(list(self.prevalidated))
        if self.renewal_window is not None:
            found["Renewalinfo"]["renewal_window_duration"] = f"{int(self.renewal_window.total_seconds())}s"
        if self.eab:
            found["EABhandler"] = {
                "eab_handler_module": _EAB_HANDLER,
                "key_file": str(folder / "eab.json"),
                "eab_strict_mode": str(not self.eab_optional),
            }
        if self.profiles:
            found["Order"]["profiles"] = json.dumps(dict(self.profiles))
        self._handlers(found, folder)
        return found

    def _handlers(self, found: ConfigParser, folder: Path) -> None:
        """One CA handler, or one for each profile whose certificates live as long as nobody else's."""
        own = {
            "handler_module": _HANDLER,
            "issuing_ca_key": str(folder / "ca-key.pem"),
            "issuing_ca_cert": str(folder / "ca.pem"),
            "issuing_ca_crl": str(folder / _CRL),
            "cert_save_path": str(folder / "issued"),
        }
        if not self.profile_days:
            found["CAhandler"] = {**own, "cert_validity_days": str(self.days)}
            return
        found["CAhandler"] = {"multi_handler": "True", "default_handler": "default"}
        found["CAhandler:default"] = {**own, "cert_validity_days": str(self.days)}
        for profile, days in self.profile_days.items():
            found[f"CAhandler:profile-{profile}"] = {**own, "cert_validity_days": str(days)}
        routes = {profile: f"profile-{profile}" for profile in self.profile_days}
        found["Order"]["profile_cahandler"] = json.dumps(routes)


class Acme2certifier(Server):
    """A running acme2certifier; :meth:`start` makes one."""

    def __init__(self, child: Child, *, port: int, roots_pem: str, issuer_root_pem: str) -> None:
        super().__init__(child)
        #: The ACME directory.
        self.directory_url = f"https://127.0.0.1:{port}/directory"
        #: The throwaway CA that signed the server's HTTPS certificate, PEM: the roots for the client's TLS.
        self.roots_pem = roots_pem
        self._issuer_root_pem = issuer_root_pem
        self._folder = child.folder
        self._tls = ssl.create_default_context(cadata=roots_pem)

    @classmethod
    def start(cls, *, dns_server: str = "", python: str = sys.executable, **switches: Any) -> Acme2certifier:
        """Start an acme2certifier and wait until it answers.

        Args:
            dns_server: ``address:port`` of the resolver that it looks TXT records up with; the system's when empty. For
                http-01 and tls-alpn-01 it is always the system's.
            python: The interpreter that runs it, which must have acme2certifier.
            switches: The fields of :class:`Switches`.

        Raises:
            CertCoreError: acme2certifier is not installed, or it did not start within 15 seconds.
        """
        wanted = Switches(**switches)
        for _ in range(START_TRIES):
            port = free_port()
            authority = _IssuingAuthority(SystemEnvironment().now(), name="acme2certifier test CA")
            with uninterrupted():
                folder = Path(tempfile.mkdtemp(prefix="certcore-acme2certifier-"))
                roots_pem = write_throwaway_tls(folder)
                (folder / "issued").mkdir()
                (folder / "ca.pem").write_text(authority.intermediate_pem)
                (folder / "ca-key.pem").write_bytes(authority.intermediate_key_pem())
                (folder / "eab.json").write_text(json.dumps(dict(wanted.eab)))
                with (folder / "acme_srv.cfg").open("w") as file:
                    wanted.configuration(folder).write(file)
                # -P: the script's own folder has a module of the package's name.
                arguments = ["-P", acme2certifier_wsgi.__file__, str(port), dns_server]
                child = Child(python, arguments, folder=folder, env={})
            server = cls(child, port=port, roots_pem=roots_pem, issuer_root_pem=authority.root_pem)
            if child.wait_until(server._answers):
                return server
            tail = child.log_tail()
            server.stop()
            if "No module named" in tail:
                raise ProgramMissingError(
                    f"acme2certifier is not installed for {python}: {tail.strip().splitlines()[-1]}",
                    advice="Run: pip install acme2certifier.",
                )
            if "Address already in use" not in tail:
                break
        raise ServerStartError(f"acme2certifier did not start within {START_SECONDS:g} seconds. It said: {tail}")

    def issuer_root_pem(self) -> str:
        """The root that issued certificates end at, PEM. One intermediate is between."""
        return self._issuer_root_pem

    def revoked_serials(self) -> frozenset[int]:
        """The serial numbers in its CRL, which it writes at every revocation."""
        try:
            crl = x509.load_pem_x509_crl((self._folder / _CRL).read_bytes())
        except FileNotFoundError:
            return frozenset()
        return frozenset(one.serial_number for one in crl)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.directory_url, timeout=5, context=self._tls) as reply:
                reply.read()
        except OSError:
            return False
        return True


class _IssuingAuthority(LittleAuthority):
    """A little authority that lets a server sign with its intermediate."""

    def intermediate_key_pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
