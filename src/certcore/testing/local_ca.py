"""A small certification authority in memory, which issues valid leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem

__all__ = ["LittleAuthority", "make_request"]

_LONG: Final = timedelta(days=20 * 365)


class LittleAuthority:
    """A root and an intermediate with temporary EC keys (RFC 5280 section 4.2), only for tests and demonstrations.

    Args:
        now: The present moment, with its time zone. Both certificates are valid for twenty years before and after.
        name: A part of the names of both.
    """

    def __init__(self, now: datetime, *, name: str = "Little CA") -> None:
        self._now = now
        root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root_name, own_name = _name(f"{name} Root"), _name(f"{name} Intermediate")
        self._root = self._certify(root_name, root_key.public_key(), root_name, root_key, path_length=1)
        self._own = self._certify(own_name, self._key.public_key(), root_name, root_key, path_length=0)

    @property
    def root_pem(self) -> str:
        """The root in PEM."""
        return self._root.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def intermediate_pem(self) -> str:
        """The intermediate in PEM, which signs the leaves."""
        return self._own.public_bytes(Encoding.PEM).decode("ascii")

    def issue(
        self,
        csr_pem: str,
        *,
        now: datetime,
        lifetime: timedelta = timedelta(days=90),
        names: Sequence[str] | None = None,
        public_key: ec.EllipticCurvePublicKey | None = None,
    ) -> str:
        """Issue a leaf for a request.

        Args:
            csr_pem: The certificate signing request in PEM.
            now: The present moment. The leaf's validity begins one hour before.
            lifetime: How long after ``now`` the leaf expires.
            names: DNS names to use instead of the requested ones, to make a wrong leaf.
            public_key: A key to use instead of the requested one, to make a wrong leaf.

        Returns:
            The leaf and the intermediate in PEM.
        """
        request = x509.load_pem_x509_csr(csr_pem.encode())
        alternative = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if names is not None:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = (
            self._builder(request.subject, public_key or request.public_key(), self._own.subject)  # type: ignore[arg-type]
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + lifetime)
            .add_extension(alternative, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(Encoding.PEM).decode("ascii") + self.intermediate_pem

    def _certify(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        issuer: x509.Name,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        path_length: int,
    ) -> x509.Certificate:
        return (
            self._builder(name, key, issuer)
            .not_valid_before(self._now - _LONG)
            .not_valid_after(self._now + _LONG)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )

    @staticmethod
    def _builder(name: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def make_request(*names: str, key_type: KeyType | str = KeyType.EC_P256) -> tuple[str, str]:
    """Make a private key and a signing request, as the administrator of a server would.

    ::

        request, private_key = make_request("shop.example", "www.shop.example")

    Returns:
        The request and the unencrypted private key, both in PEM.

    Raises:
        InvalidInputError: A name is not a domain name, or the key type is unknown.
    """
    key = generate_key(KeyType.parse(key_type))
    request = build_csr(key, [DnsName.parse(name) for name in names], Subject())
    return request.decode("ascii"), private_key_pem(key).decode("ascii")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
