"""Values for the contract tests, with every field filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance, Purpose
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.renewal import RenewalPolicy
from certcore.model.secret import SecretName
from certcore.model.subject import Subject

__all__ = ["LATER", "NOW", "PROBLEM", "sample_authority", "sample_certificate", "sample_issuance", "sample_leaf"]

NOW: Final = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER: Final = NOW + timedelta(minutes=5)
PROBLEM: Final = Problem(
    type="urn:ietf:params:acme:error:dns",
    title="Größe",
    detail="no TXT record",
    status=403,
    advice="Set the CNAME.",
    subproblems=(Problem(type="about:blank", identifier="a.example", detail="x"),),
)


def sample_authority(number: int = 1, **changes: Any) -> CertificateAuthority:
    """A CA profile."""
    values: dict[str, Any] = {
        "id": f"authority-{number}",
        "name": f"CA {number}",
        "description": "Straße \N{SNOWMAN}",
        "module": "scripted",
        "settings": {"list": [1, None, "ä"], "nested": {"deep": True}},
        "secrets_set": frozenset({"b", "a"}),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return CertificateAuthority(**{**values, **changes})


def sample_certificate(number: int = 1, **changes: Any) -> Certificate:
    """A certificate in draft."""
    values: dict[str, Any] = {
        "id": f"certificate-{number}",
        "owner": "tenant",
        "domain": DnsName(f"d{number:03}.example"),
        "aliases": (DnsName("www.example"), DnsName("a.example")),
        "wildcard": True,
        "subject": Subject(organization="Größe GmbH", country="de", email="a@b.example"),
        "key_type": KeyType.RSA_3072,
        "renewal": RenewalPolicy(auto=False, days_before=12, rotate_key=False),
        "authority_id": "authority-1",
        "fallbacks": ("authority-2", "authority-3"),
        "module_data": {"email": "x@y.example"},
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Certificate(**{**values, **changes})


def sample_issuance(number: int = 1, **changes: Any) -> Issuance:
    """An issuance that has just begun."""
    values: dict[str, Any] = {
        "id": f"issuance-{number}",
        "certificate_id": "certificate-1",
        "number": number,
        "purpose": Purpose.ISSUE,
        "authority_id": "authority-1",
        "names": (DnsName("d001.example"), DnsName("*.d001.example")),
        "key_type": KeyType.EC_P256,
        "key_name": SecretName("certificate-key", f"issuance-{number}"),
        "csr_pem": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "created_at": NOW,
    }
    return Issuance(**{**values, **changes})


def sample_leaf() -> Leaf:
    """The details of a leaf."""
    return Leaf(
        names=("d001.example", "*.d001.example"),
        subject="CN=d001.example",
        issuer="CN=Test",
        serial_hex="0a" * 20,
        not_before=NOW,
        not_after=NOW + timedelta(days=90),
        signature_algorithm="ecdsa-with-SHA256",
        public_key_algorithm="EC P-256",
        key_size=256,
        fingerprint_sha256="ab" * 32,
        fingerprint_sha1="cd" * 20,
        spki_sha256="ef" * 32,
    )
