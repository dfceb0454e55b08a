"""Root, issuing CA, leaves and CRLs, checked by openssl and pkilint."""

from datetime import UTC, datetime, timedelta

import pytest
from certificate_files import lint_findings, openssl, verified, written
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st

from certcore.plugin import RevocationReason
from certcore.testing import make_request
from certcore_local_ca.authority import (
    CAKeyType,
    UnusableAuthorityError,
    ca_name,
    make_intermediate,
    make_root,
    pem_of,
    read_given,
)
from certcore_local_ca.crl import RevokedLeaf, make_crl
from certcore_local_ca.leaves import LeafUsage, Publication, UnsuitableRequestError, make_leaf
from certcore_local_ca.name_constraints import NameConstraints

DAY = timedelta(days=1)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT = ("-attime", str(int((NOW + DAY).timestamp())))
PUBLICATION = Publication(crl_url="http://pki.example/0001.crl", issuer_url="http://pki.example/0001.crt")
CONSTRAINTS = NameConstraints(permitted=("house.example",), excluded=("lab.house.example",))


def _root(key_type=CAKeyType.EC_P256):
    return make_root(subject=ca_name("House Root", "House"), key_type=key_type, validity=(NOW, NOW + 3650 * DAY))


def _issuing(root, key_type=CAKeyType.EC_P256, constraints=CONSTRAINTS, days=1000):
    return make_intermediate(
        root,
        subject=ca_name("House Issuing CA 1", "House"),
        key_type=key_type,
        constraints=constraints,
        validity=(NOW, NOW + days * DAY),
        crl_url="http://pki.example/root.crl",
    )


def _leaf(issuer, *names, key_type="ec-p256", usage=LeafUsage.SERVER, publication=PUBLICATION, days=90):
    request, _ = make_request("request.example", key_type=key_type)
    return make_leaf(
        issuer,
        x509.load_pem_x509_csr(request.encode()),
        names,
        serial_number=x509.random_serial_number(),
        validity=(NOW, NOW + days * DAY),
        usage=usage,
        publication=publication,
    )


_ROOT = _root()


@pytest.fixture(scope="module", params=list(CAKeyType))
def chain(request):
    """A root and an issuing CA with keys of each type."""
    root = _root(request.param)
    return root, _issuing(root, request.param)


def test_openssl_verifies_the_chain(chain, tmp_path):
    """A leaf with its chain leads to the root, also with openssl's strict checks of RFC 5280, for wildcards too."""
    root, issuing = chain
    leaf = _leaf(issuing, "a.house.example", "*.house.example")
    status, text = verified(tmp_path, leaf, [issuing.certificate], root.certificate, "-purpose", "sslserver", *AT)
    assert status == 0, text


@pytest.mark.parametrize(
    ("name", "reason"),
    [("x.lab.house.example", "excluded subtree violation"), ("evil.example", "permitted subtree violation")],
)
def test_openssl_refuses_what_the_constraints_refuse(chain, tmp_path, name, reason):
    """Clients refuse a leaf outside of the name constraints, even if the CA has signed it."""
    root, issuing = chain
    status, text = verified(tmp_path, _leaf(issuing, name), [issuing.certificate], root.certificate, *AT)
    assert status != 0
    assert reason in text
    assert NameConstraints.of(issuing.certificate).refused([name]) == (name,)


@pytest.mark.slow(reason="loading pkilint takes seconds")
def test_pkilint_finds_nothing(chain, tmp_path):
    """Root, issuing CA, leaf, chain and CRL follow RFC 5280, as pkilint reads it."""
    root, issuing = chain
    leaf = _leaf(issuing, "a.house.example", "b.house.example", key_type="rsa-2048", usage=LeafUsage.BOTH)
    long_name = _leaf(issuing, f"{'a' * 60}.house.example")
    files = {
        name: written(tmp_path, f"{name}.pem", certificate)
        for name, certificate in {
            "root": root.certificate,
            "issuing": issuing.certificate,
            "leaf": leaf,
            "long_name": long_name,
        }.items()
    }
    revoked = RevokedLeaf(serial_number=leaf.serial_number, revoked_at=NOW, reason=RevocationReason.KEY_COMPROMISE)
    crl = make_crl(issuing, [revoked], number=1, this_update=NOW, next_update=NOW + 7 * DAY)
    chain_lint = "lint_pkix_signer_signee_cert_chain"
    findings = lint_findings(
        *(("lint_pkix_cert", path) for path in files.values()),
        (chain_lint, files["root"], files["issuing"]),
        (chain_lint, files["issuing"], files["leaf"]),
        ("lint_crl", "-t", "CRL", "-p", "PKIX", written(tmp_path, "crl.pem", crl)),
    )
    assert findings == ""


@pytest.mark.slow(reason="loading pkilint takes seconds")
def test_pkilint_would_find_something(tmp_path):
    """The same call reports a wildcard, which RFC 5280 does not permit (RFC 9525 does), so it does check the leaf."""
    leaf = _leaf(_issuing(_root()), "*.house.example")
    assert "pkix.invalid_domain_name_syntax" in lint_findings(("lint_pkix_cert", written(tmp_path, "leaf.pem", leaf)))


@pytest.mark.parametrize("reason", list(RevocationReason))
def test_openssl_reads_the_crl(chain, tmp_path, reason):
    """Openssl verifies the CRL with the issuing CA, and refuses the leaf that is on it and no other."""
    root, issuing = chain
    revoked, other = _leaf(issuing, "a.house.example"), _leaf(issuing, "b.house.example")
    entry = RevokedLeaf(serial_number=revoked.serial_number, revoked_at=NOW, reason=reason)
    crl = make_crl(issuing, [entry], number=7, this_update=NOW, next_update=NOW + 7 * DAY)
    path = written(tmp_path, "crl.pem", crl)
    status, text = openssl("crl", "-in", path, "-CAfile", written(tmp_path, "ca.pem", issuing.certificate), "-noout")
    assert (status, text.strip()) == (0, "verify OK")
    options = ("-crl_check", "-CRLfile", path, *AT)
    assert verified(tmp_path, other, [issuing.certificate], root.certificate, *options)[0] == 0
    status, text = verified(tmp_path, revoked, [issuing.certificate], root.certificate, *options)
    assert status != 0
    assert "certificate revoked" in text


@pytest.mark.parametrize(
    ("usage", "good", "bad"), [("server", "sslserver", "sslclient"), ("client", "sslclient", "sslserver")]
)
def test_leaves_are_for_their_purpose(tmp_path, usage, good, bad):
    """A leaf for servers is not accepted from a client, and a leaf for clients not from a server."""
    root = _root()
    issuing = _issuing(root)
    leaf = _leaf(issuing, "a.house.example", usage=LeafUsage(usage))
    assert verified(tmp_path, leaf, [issuing.certificate], root.certificate, "-purpose", good, *AT)[0] == 0
    assert verified(tmp_path, leaf, [issuing.certificate], root.certificate, "-purpose", bad, *AT)[0] != 0


def test_nothing_outlives_its_issuer():
    """A leaf ends with its issuing CA at the latest, and that with its root."""
    root = _root()
    issuing = _issuing(root, days=9999)
    assert issuing.certificate.not_valid_after_utc == root.certificate.not_valid_after_utc
    leaf = _leaf(issuing, "a.house.example", days=9999)
    assert leaf.not_valid_after_utc == root.certificate.not_valid_after_utc


def test_weak_keys_are_refused():
    """A request with a small RSA key is not signed."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    with pytest.raises(UnsuitableRequestError, match="too weak"):
        make_leaf(
            _issuing(_root()),
            request,
            ["a.house.example"],
            serial_number=1,
            validity=(NOW, NOW + DAY),
            usage=LeafUsage.SERVER,
            publication=Publication(),
        )


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (("house.example", "a.house.example", "*.house.example"), ("*.house.example",)),
        (("lab.house.example", "x.lab.house.example", "*.lab.house.example"), None),
        (("house.example.evil.example", "nothouse.example"), None),
        (("*.a.house.example", "lab2.house.example"), ()),
    ],
)
def test_name_constraints(names, refused):
    """Names in and below a domain are permitted, excluded ones are not, nor a wildcard that would cover one."""
    assert CONSTRAINTS.refused(names) == (names if refused is None else refused)


_DOMAINS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3).map(
    lambda labels: ".".join([*labels, "x"])
)


@settings(deadline=None)
@given(name=_DOMAINS, permitted=st.lists(_DOMAINS, max_size=2), excluded=st.lists(_DOMAINS, max_size=2))
def test_name_constraints_mean_what_clients_take_them_for(name, permitted, excluded):
    """What the CA agrees to certify is exactly what a client accepts: here the verifier of cryptography."""
    constraints = NameConstraints(permitted=tuple(permitted), excluded=tuple(excluded))
    issuing = _issuing(_ROOT, constraints=constraints)
    leaf = _leaf(issuing, name, publication=Publication())
    policy = PolicyBuilder().store(Store([_ROOT.certificate])).time(NOW + DAY)
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(leaf, [issuing.certificate])
        accepted = True
    except VerificationError:
        accepted = False
    assert accepted == (constraints.refused([name]) == ())


def test_a_given_ca_is_checked():
    """Key and certificates of a given CA belong together, in order, and may sign."""
    root = _root()
    issuing = _issuing(root)
    key = issuing.to_pem()
    authority, above = read_given(pem_of((issuing.certificate, root.certificate)), key)
    assert (authority.certificate, above) == (issuing.certificate, (root.certificate,))
    for certificates, reason in (
        ((root.certificate,), "does not belong"),
        ((issuing.certificate, _root().certificate), "signed by the next"),
        ((), "no certificate"),
    ):
        with pytest.raises(UnusableAuthorityError, match=reason):
            read_given(pem_of(certificates), key)
    with pytest.raises(UnusableAuthorityError, match="cannot be read"):
        read_given(pem_of((issuing.certificate,)), b"no key")
