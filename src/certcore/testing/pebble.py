"""Pebble, the test CA of Let's Encrypt, as a child process for tests and benchmarks.

::

    with ChallTestSrv.start() as dns, Pebble.start(dns_server=dns.dns_address) as pebble:
        http = Http(extra_roots=pebble.roots_pem)
        client = AcmeClient(pebble.directory_url, key=key, http=http)

All servers listen on free loopback ports and write only to a temporary folder.

Keep at most four orders in flight for each Pebble. It acquires read locks inside read locks, and hangs with more orders
(2.4.0 and newer). For more orders, start several, and use a timeout for every wait.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certcore.testing.ports import free_ports
from certcore.testing.server import (
    START_SECONDS,
    START_TRIES,
    Child,
    Server,
    ServerStartError,
    find_program,
    uninterrupted,
)

__all__ = ["ChallTestSrv", "Pebble", "challtestsrv_arguments", "write_throwaway_tls"]


class Pebble(Server):
    """A running Pebble. Use `start` to make one."""

    def __init__(self, child: Child, *, port: int, management_port: int, roots_pem: str) -> None:
        super().__init__(child)
        #: The URL of the ACME directory.
        self.directory_url = f"https://127.0.0.1:{port}/dir"
        #: The URL of the management API.
        self.management_url = f"https://127.0.0.1:{management_port}"
        #: The root of Pebble's HTTPS certificate, in PEM.
        self.roots_pem = roots_pem
        self._tls = ssl.create_default_context(cadata=roots_pem)

    @classmethod
    def start(  # noqa: PLR0913 - the switches that Pebble has
        cls,
        *,
        dns_server: str | None = None,
        nonce_reject: int = 5,
        sleep: bool = False,
        authz_reuse: int = 50,
        strict: bool = False,
        eab: Mapping[str, str] | None = None,
        alternate_roots: int = 0,
        chain_length: int = 1,
        always_valid: bool = False,
    ) -> Pebble:
        """Start Pebble and wait until it answers.

        Args:
            dns_server: ``host:port`` of the resolver for validations; None for that of the system.
            nonce_reject: The percentage of valid nonces that Pebble refuses.
            sleep: Whether Pebble waits for some seconds before it validates, as CAs do.
            authz_reuse: The percentage of orders that reuse a valid authorization.
            strict: Whether Pebble enforces upcoming changes of the API.
            eab: The base64url HMAC keys by key ID. If given, new accounts need an external account binding (RFC 8555
                section 7.3.4).
            alternate_roots: The number of alternate chains.
            chain_length: The number of certificates between leaf and root.
            always_valid: Whether every challenge succeeds without a check.

        Raises:
            ProgramMissingError: Pebble is not installed.
            ServerStartError: Pebble did not start in time.
        """
        binary = find_program("pebble", "pebble")
        env = {
            "PEBBLE_VA_NOSLEEP": "" if sleep else "1",
            "PEBBLE_VA_ALWAYS_VALID": "1" if always_valid else "",
            "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
            "PEBBLE_AUTHZREUSE": str(authz_reuse),
            "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots),
            "PEBBLE_CHAIN_LENGTH": str(chain_length),
        }
        for _ in range(START_TRIES):
            port, management_port, http_port, tls_port = free_ports(4)
            config = {
                "listenAddress": f"127.0.0.1:{port}",
                "managementListenAddress": f"127.0.0.1:{management_port}",
                "certificate": "cert.pem",
                "privateKey": "key.pem",
                "httpPort": http_port,
                "tlsPort": tls_port,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": bool(eab),
                "externalAccountMACKeys": dict(eab or {}),
            }
            with uninterrupted():
                folder = Path(tempfile.mkdtemp(prefix="certcore-pebble-"))
                roots_pem = write_throwaway_tls(folder)
                (folder / "config.json").write_text(json.dumps({"pebble": config}))
                arguments = ["-config", str(folder / "config.json")]
                if dns_server:
                    arguments += ["-dnsserver", dns_server]
                if strict:
                    arguments.append("-strict")
                child = Child(binary, arguments, folder=folder, env=env)
            pebble = cls(child, port=port, management_port=management_port, roots_pem=roots_pem)
            if child.wait_until(pebble._answers):
                return pebble
            tail = child.log_tail()
            pebble.stop()
            if "address already in use" not in tail:
                break
        raise ServerStartError(f"pebble did not start within {START_SECONDS:g} seconds. It said: {tail}")

    def issuer_root_pem(self, number: int = 0) -> str:
        """The root of the issued certificates, in PEM.

        Args:
            number: 0 for the root of the default chain, 1 and up for those of alternate chains.
        """
        return self._get(f"{self.management_url}/roots/{number}").decode("ascii")

    def certificate_status(self, serial_hex: str) -> Mapping[str, Any]:
        """Pebble's record of an issued certificate: ``Status`` (``Valid``, ``Revoked``), ``Reason`` and others."""
        document = json.loads(self._get(f"{self.management_url}/cert-status-by-serial/{serial_hex}"))
        return dict(document)

    def _answers(self) -> bool:
        try:
            self._get(self.directory_url)
            self._get(f"{self.management_url}/roots/0")
        except OSError:
            return False
        return True

    def _get(self, url: str) -> bytes:
        with urllib.request.urlopen(url, timeout=5, context=self._tls) as reply:  # noqa: S310 - our own https URL
            return bytes(reply.read())


class ChallTestSrv(Server):
    """A running pebble-challtestsrv, a DNS server whose records a test can set. Use `start` to make one."""

    def __init__(self, child: Child, *, dns_port: int, management_port: int) -> None:
        super().__init__(child)
        #: ``host:port`` of the DNS server, for `Pebble.start`.
        self.dns_address = f"127.0.0.1:{dns_port}"
        #: The URL of the management API.
        self.management_url = f"http://127.0.0.1:{management_port}"

    @classmethod
    def start(cls) -> ChallTestSrv:
        """Start the server and wait until it answers.

        Raises:
            ProgramMissingError: The program is not installed.
            ServerStartError: The server did not start in time.
        """
        binary = find_program("pebble-challtestsrv", "pebble")
        result = subprocess.run([binary, "-help"], capture_output=True, text=True, check=False, timeout=START_SECONDS)  # noqa: S603 - a fixed binary
        help_text = result.stderr + result.stdout
        for _ in range(START_TRIES):
            dns_port, management_port = free_ports(2)
            arguments = challtestsrv_arguments(help_text, dns_port=dns_port, management_port=management_port)
            with uninterrupted():
                folder = Path(tempfile.mkdtemp(prefix="certcore-challtestsrv-"))
                child = Child(binary, arguments, folder=folder, env={})
            server = cls(child, dns_port=dns_port, management_port=management_port)
            if child.wait_until(lambda ports=(dns_port, management_port): all(map(_listens, ports))):  # type: ignore[misc]
                return server
            tail = child.log_tail()
            server.stop()
            if "address already in use" not in tail:
                break
        raise ServerStartError(f"pebble-challtestsrv did not start within {START_SECONDS:g} seconds. It said: {tail}")

    def set_txt(self, host: str, value: str) -> None:
        """Add a TXT record. Other TXT records of the name are kept."""
        self._post("set-txt", host=_fqdn(host), value=value)

    def clear_txt(self, host: str) -> None:
        """Remove all TXT records of a name."""
        self._post("clear-txt", host=_fqdn(host))

    def set_cname(self, host: str, target: str) -> None:
        """Set the CNAME record of a name."""
        self._post("set-cname", host=_fqdn(host), target=_fqdn(target))

    def clear_cname(self, host: str) -> None:
        """Remove the CNAME record of a name."""
        self._post("clear-cname", host=_fqdn(host))

    def _post(self, path: str, **members: Any) -> None:
        request = urllib.request.Request(  # noqa: S310 - our own loopback URL
            f"{self.management_url}/{path}", data=json.dumps(members).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310 - our own loopback URL
            reply.read()


def _fqdn(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def write_throwaway_tls(folder: Path, names: Sequence[str] = ("localhost", "127.0.0.1")) -> str:
    """Make a temporary CA and a server certificate.

    Args:
        folder: The folder for ``cert.pem`` and ``key.pem`` of the server.
        names: The host names and addresses of the certificate.

    Returns:
        The CA's root in PEM.
    """
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "certcore throwaway test CA")])

    def builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=7))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )

    def usage(*, ca: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=ca,
            crl_sign=ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )

    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(ca=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternative: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
    ]
    server = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(server.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ca.public_bytes(Encoding.PEM).decode("ascii")


def challtestsrv_arguments(help_text: str, *, dns_port: int, management_port: int) -> list[str]:
    """The arguments with which ``pebble-challtestsrv`` only serves DNS and its management API.

    Args:
        help_text: The program's output for ``-help``. Version 2.5 renamed ``-dns01`` to ``-dnsserver``, and later
            versions serve DNS over HTTPS unless that is switched off.
        dns_port: The port for DNS queries on 127.0.0.1.
        management_port: The port of the management API on 127.0.0.1.
    """
    options = set(re.findall(r"^\s*-([\w-]+)", help_text, flags=re.MULTILINE))
    dns_option = "dnsserver" if "dnsserver" in options else "dns01"
    arguments = [f"-{dns_option}=127.0.0.1:{dns_port}", f"-management=127.0.0.1:{management_port}"]
    return arguments + [f"-{option}=" for option in ("http01", "https01", "tlsalpn01", "doh") if option in options]
