"""What can be done with an imported certificate: revoke, export and import again, edit, copy."""

import io
import zipfile

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from certcore import Status
from certcore.errors import InvalidInputError
from certcore.model.secret import Secret
from support.imported_leaves import KEY, KEY_PEM, LEAF, kinds


def test_revoking_an_import(bench):
    """It takes a named CA profile, which is asked with the key; without one the advice says what to name."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.revoke(certificate_id)
    assert refused.value.field == "authority"
    assert bench.get(certificate_id).status is Status.ACTIVE
    revoked = bench.core.certificates.revoke(certificate_id, authority=bench.authority.id, reason="key_compromise")
    assert revoked.status is Status.REVOKED
    assert list(bench.ca.revoked) == [bench.core.certificates.view(certificate_id).active.leaf_pem]
    assert kinds(bench, certificate_id)[-1] == "revoked"
    assert bench.core.certificates.view(certificate_id).renews_at is None


def test_a_certificate_of_a_bound_profile_is_revoked_through_it(bench):
    """Once a CA profile is bound, that is the one that is asked."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
    assert bench.core.certificates.revoke(certificate_id).status is Status.REVOKED


def _pkcs12(password=b"canary-password"):
    certificates = x509.load_pem_x509_certificates(LEAF.encode())
    locked = BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(b"shop", KEY, certificates[0], certificates[1:], locked)


@pytest.mark.parametrize(
    "password", ["canary-password", b"canary-password", Secret("canary-password"), Secret(b"canary-password")]
)
def test_a_pkcs12_file(bench, password):
    """All in one, with its password as text or as a secret; the password is nowhere afterwards."""
    certificate = bench.core.certificates.import_certificate(_pkcs12(), password=password)
    assert bench.core.certificates.export(certificate.id, reason="test").private_key.reveal_text() == KEY_PEM
    view = bench.core.certificates.view(certificate.id)
    assert view.active.fullchain_pem == LEAF
    assert "canary" not in repr(view)


@pytest.mark.parametrize("password", [None, "wrong", Secret("wrong"), Secret(b"\xff\xfe"), ""])
def test_a_pkcs12_file_with_a_wrong_password(bench, password):
    """It is refused for the field of the password, whose text is not repeated."""
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.import_certificate(_pkcs12(), password=password)
    assert refused.value.field == "password"
    assert "wrong'" not in str(refused.value)
    assert "canary" not in str(refused.value)


def _content(files, password):
    """What a person has on disk of an export, as it is given to an import: leaf, key, chain."""
    names = {file.name.rpartition("/")[2]: file.content for file in files}
    (first,) = list(names) if len(names) == 1 else [""]
    if first.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(names[first])) as archive:
            names = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}
        return [
            (names["fullchain.pem"], names["privkey.pem"], None),
            (names["cert.pem"], names["privkey.pem"], names["chain.pem"]),
            (names["cert.der"], names["privkey.der"], names["fullchain.p7b"]),
            *([(names["cert.p12"], None, None)] if password else []),
        ]
    if "cert.der" in names:
        return [(names["cert.der"], names["privkey.der"], names["fullchain.p7b"])]
    if "fullchain.pem" in names:
        return [(names["fullchain.pem"], names["privkey.pem"], None)]
    return [(names[first], None, None)]


FORMATS = ["pem", "zip", "pkcs12", "der", "nginx", "apache", "haproxy", "lighttpd", "postfix"]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_what_was_exported_comes_back_as_it_was(bench, name, locked):
    """Exported in any format that holds the key, deleted, and imported: leaf, chain and key are the same."""
    certificate_id = bench.active(wildcard=True, aliases="b.example")
    before = bench.core.certificates.export(certificate_id, reason="test")
    leaf = bench.core.certificates.view(certificate_id).leaf
    formats = {export_format.name: export_format for export_format in bench.core.certificates.formats()}
    assert set(FORMATS) == {
        export_format.name for export_format in formats.values() if export_format.private_key != "never"
    }
    password = Secret("canary password 7") if locked else None
    if (locked and formats[name].password == "never") or (not locked and formats[name].password == "required"):
        return
    files = bench.core.certificates.export(certificate_id, name, password=password, reason="test").files
    bench.core.certificates.delete(certificate_id)
    for given in _content(files, password):
        again = bench.core.certificates.import_certificate(*given, password=password)
        after = bench.core.certificates.export(again.id, reason="test")
        assert after == before
        view = bench.core.certificates.view(again.id)
        assert view.leaf == leaf
        assert view.events[0].data["warnings"] == []
        assert [name.ascii for name in view.certificate.names] == ["shop.example", "*.shop.example", "b.example"]
        bench.core.certificates.delete(again.id)


def test_an_import_is_edited_like_any_other(bench):
    """Its policy in every status; its names by a reissue alone; its owner never."""
    certificate = bench.core.certificates.import_certificate(LEAF, KEY_PEM)
    saved = bench.core.certificates.edit(certificate.id, renewal={"auto": False})
    assert evolve(saved, renewal=certificate.renewal, version=1) == evolve(certificate, updated_at=saved.updated_at)
    bench.core.certificates.edit(certificate.id, authority=bench.authority.id, key_type="ec-p384")
    assert bench.core.certificates.view(certificate.id).renews_at is None
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.edit(certificate.id, aliases="www.shop.example")
    assert "reissue" in refused.value.advice


def test_a_copy_of_an_import(bench):
    """It is a draft for the same names, which says that it needs a CA profile."""
    certificate = bench.core.certificates.import_certificate(LEAF, KEY_PEM)
    copy = bench.core.certificates.clone(certificate.id)
    assert copy.status is Status.DRAFT
    assert copy.names == certificate.names
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.generate_csr(copy.id)
    assert refused.value.field == "authority"
    bench.core.certificates.edit(copy.id, authority=bench.authority.id)
    assert bench.core.certificates.generate_csr(copy.id).status is Status.PENDING
