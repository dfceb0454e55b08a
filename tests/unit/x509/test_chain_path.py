"""The way from a leaf to a root among valid, expired and cross-signed certificates; other verifiers agree."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError, X509Error
from certcore.x509.chain import parse_chain, presentable_chain
from certcore.x509.chain_path import follow_issuers
from certcore.x509.import_bundle import read_bundle
from support import bundle_corpus as corpus
from support.examples import examples

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
#: When a certificate begins and ends, counted from now.
VALID, VALID_LONGER, EXPIRED, FUTURE = (-900, 900), (-900, 1200), (-900, -1), (1, 2000)
CAS = ("A", "B", "C", "D")
pem = corpus.pem


@cache
def key(_name):
    return ec.generate_private_key(ec.SECP256R1())


@frozen
class Spec:
    """A certificate of one CA, signed by another or by itself."""

    subject: str
    issuer: str
    days: tuple


@cache
def certify(spec):
    is_leaf = spec.subject == "leaf"
    begin, end = (NOW + days * DAY for days in spec.days)
    issuer_key = key(spec.issuer)
    builder = (
        x509.CertificateBuilder()
        .subject_name(corpus.name(spec.subject))
        .issuer_name(corpus.name(spec.issuer))
        .public_key(key(spec.subject).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=not is_leaf, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key(spec.subject).public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if is_leaf:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    else:
        builder = builder.add_extension(corpus.usage("key_cert_sign", "crl_sign"), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


LEAF = certify(Spec("leaf", "A", (-10, 80)))


def made(*specs):
    return [certify(Spec(*spec)) for spec in specs]


def verifies(intermediates, roots):
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(roots))
        .time(NOW.replace(tzinfo=None))
        .max_chain_depth(10)
        .build_server_verifier(x509.DNSName("shop.example"))
    )
    try:
        verifier.verify(LEAF, list(intermediates))
    except verification.VerificationError:
        return False
    return True


specs = st.builds(
    Spec, st.sampled_from(CAS), st.sampled_from(CAS), st.sampled_from([VALID, VALID_LONGER, EXPIRED, FUTURE])
)


@given(st.lists(specs, min_size=1, max_size=8, unique=True), st.randoms(use_true_random=False))
@examples(300, deadline=None)
def test_a_way_that_verifies_is_found_wherever_there_is_one(drawn, random):
    """What a verifier accepts with everything that was given, it accepts with the chain alone; no link has expired."""
    others = [certify(spec) for spec in drawn]
    roots = [one for one in others if one.subject == one.issuer and one.not_valid_after_utc > NOW]
    path = follow_issuers(LEAF, others, now=NOW)
    assert all(link.not_valid_after_utc > NOW for link in path.chain)
    assert len({*path.links[1:], *path.others, *path.unrelated}) == len(others)
    if roots and verifies(others, roots):
        assert verifies(path.chain, roots)
    random.shuffle(others)
    assert follow_issuers(LEAF, others, now=NOW).chain == path.chain


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    "others",
    [
        made(("A", "B", VALID), ("B", "C", EXPIRED), ("B", "B", VALID)),
        made(("A", "B", EXPIRED), ("A", "C", VALID), ("B", "B", VALID), ("C", "C", VALID)),
        made(("A", "B", VALID_LONGER), ("B", "B", EXPIRED), ("A", "C", VALID), ("C", "C", VALID)),
        made(("A", "B", VALID), ("B", "C", VALID), ("C", "D", FUTURE), ("C", "C", VALID)),
    ],
    ids=["expired cross-signed root", "expired twin", "twin of an expired root", "not yet valid"],
)
def test_openssl_agrees_with_the_chain_that_is_found(others, tmp_path):
    """`openssl verify` accepts the leaf with the chain alone, trusting the roots that are valid."""
    path = follow_issuers(LEAF, others, now=NOW)
    files = {
        "roots": [one for one in others if one.subject == one.issuer and one.not_valid_after_utc > NOW],
        "chain": path.chain,
        "leaf": [LEAF],
    }
    for title, certificates in files.items():
        (tmp_path / title).write_text("".join(map(pem, certificates)))
    command = ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-CAfile", "roots", "-untrusted", "chain"]
    done = subprocess.run([*command, "leaf"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def texts(certificates):
    return "".join(map(pem, certificates))


def test_an_expired_cross_signed_root_is_not_sent():
    """A CA's chain, an import and an export all end below it; the import says which one was left out."""
    intermediate, cross = made(("A", "B", VALID), ("B", "C", EXPIRED))
    chain = parse_chain(texts([LEAF, intermediate, cross]), now=NOW)
    assert chain.chain_pem == pem(intermediate)
    bundle = read_bundle(texts([LEAF, intermediate, cross]), now=NOW)
    assert bundle.chain_pem == pem(intermediate)
    warning = next(warning for warning in bundle.warnings if warning.key == "bundle.chain_expired")
    assert "CN=B in the chain expired" in warning.text
    assert "left out" in warning.text
    assert presentable_chain(pem(LEAF), texts([intermediate, cross]), NOW) == pem(intermediate)
    before = NOW - 5 * DAY
    assert presentable_chain(pem(LEAF), texts([intermediate, cross]), before) == texts([intermediate, cross])


def test_a_root_that_has_expired_is_not_led_to():
    """A cross-signed intermediate whose own root has expired gives way to its twin below a valid root."""
    twin, expired_root, other, root = made(
        ("A", "B", VALID_LONGER), ("B", "B", EXPIRED), ("A", "C", VALID), ("C", "C", VALID)
    )
    bundle = read_bundle(texts([LEAF, twin, expired_root, other, root]), now=NOW)
    assert bundle.chain_pem == pem(other)


def test_nothing_is_sent_from_above_an_expired_link():
    """Clients do not get past the expired one, so that the rest is of no use to them."""
    expired, above = made(("A", "B", EXPIRED), ("B", "C", VALID))
    path = follow_issuers(LEAF, [expired, above], now=NOW)
    assert (path.chain, path.expired, path.unrelated) == ((), (expired, above), ())


def test_the_chain_of_a_leaf_that_has_ended_is_the_one_that_served_it():
    """Who imports an old certificate, or has a clock that is ahead, loses no intermediate that outlived the leaf."""
    intermediate = certify(Spec("A", "B", (-900, 80)))
    for later in (NOW + 80 * DAY, NOW + 5000 * DAY):
        assert parse_chain(texts([LEAF, intermediate]), now=later).chain_pem == pem(intermediate)
        assert read_bundle(texts([LEAF, intermediate]), now=later).chain_pem == pem(intermediate)
        assert presentable_chain(pem(LEAF), pem(intermediate), later) == pem(intermediate)


def test_without_a_moment_a_chain_is_read_as_at_the_leafs_beginning():
    """The clock of this machine has no part in it; what had expired by then is left out all the same."""
    intermediate, cross = made(("A", "B", VALID), ("B", "C", (-900, -20)))
    assert parse_chain(texts([LEAF, intermediate, cross])).chain_pem == pem(intermediate)


def test_certificates_of_one_name_do_not_multiply_the_work():
    """Twenty certificates that could all have signed each other are refused after a hundred signatures."""
    many = [certify(Spec("A", "A", (-900, 100 + number))) for number in range(19)]
    with pytest.raises(X509Error, match="the same name"):
        follow_issuers(LEAF, many, now=NOW)
    with pytest.raises(InvalidInputError, match="the same name"):
        read_bundle(texts([LEAF, *many]), now=NOW)


def test_an_issuer_with_an_endless_key_is_not_asked():
    """Verifying with RSA keys of 16384 bits takes long, and no CA has one."""
    world = corpus.World()
    numbers = rsa.RSAPublicNumbers(65537, world.coprime(16384))
    issuer = world.certify("A", numbers.public_key(), issuer=(world.root, world.root_key), ca=True)
    path = follow_issuers(LEAF, [issuer], now=NOW)
    assert path.unrelated == (issuer,)
