"""The certificates of a simulated CA: leaves with any dates and names, and chains that are as they should be or not."""

import functools
from datetime import timedelta

from attrs import define, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

YEARS = timedelta(days=3650)
_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@frozen
class Issuer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certify(subject, public_key, by, start, end, *extensions):
    """A certificate; ``by`` is the issuer's name and key."""
    issuer_name, issuer_key = by
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=not isinstance(extension, x509.SubjectAlternativeName))
    return builder.sign(issuer_key, hashes.SHA256())


def _authority(name, by, key, start, end):
    of_ca = (x509.BasicConstraints(ca=True, path_length=None), _CA_USAGE)
    return _certify(_name(name), key.public_key(), by, start, end, *of_ca)


@define(eq=False)
class Pki:
    """A root, an intermediate, an old root that has ended and had signed the new one, and somebody else's."""

    root: Issuer
    intermediate: Issuer
    other_root: Issuer
    #: The intermediate, signed by the other root: the alternate chain.
    alternate: x509.Certificate
    #: The root, signed by an old one; it has ended.
    ended_link: x509.Certificate
    #: Nobody needs it.
    stranger: x509.Certificate

    @classmethod
    def at(cls, now):
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
        start, end = now - YEARS, now + YEARS

        def self_signed(name, key):
            return Issuer(_authority(name, (_name(name), key), key, start, end), key)

        root, other = self_signed("Simulated Root", keys[0]), self_signed("Other Simulated Root", keys[1])
        by_root = (root.certificate.subject, root.key)
        intermediate = Issuer(_authority("Simulated Intermediate", by_root, keys[2], start, end), keys[2])
        by_other = (other.certificate.subject, other.key)
        alternate = _authority("Simulated Intermediate", by_other, keys[2], start, end)
        ended = _authority("Simulated Root", (_name("Old Root"), keys[3]), root.key, start, now - timedelta(days=300))
        stranger = self_signed("Stranger", keys[3]).certificate
        return cls(root, intermediate, other, alternate, ended, stranger)

    def leaf(self, csr, names, start, end):
        """A leaf for the key of a request."""
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        by = (self.intermediate.certificate.subject, self.intermediate.key)
        not_a_ca = x509.BasicConstraints(ca=False, path_length=None)
        return _certify(_name(names[0]), csr.public_key(), by, start, end, alternative, not_a_ca)


@functools.cache
def pki_at(now):
    """The same for every simulation that begins at this moment: keys and signatures cost time."""
    return Pki.at(now)


def pem_of(*certificates):
    """A chain as CAs send it."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
