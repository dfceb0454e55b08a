"""Which certificate a folder belongs to: nobody's files are replaced by another owner's."""

import json
import os
import shutil
import stat
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from certcore import Status
from certcore.contrib.deploy.files import DeploymentError
from certcore.contrib.deploy.record import LOCK, RECORD
from certcore.model.keys import KeyType
from certcore.testing.ports import free_port
from certcore.x509.keys import generate_key, private_key_pem
from support.deployments import names, serial, unfinished, web
from support.leaves import bought

SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


# -- whose folder it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_another_certificates_folder_is_refused(open_place, folder, layout):
    """Two tenants have the same name: the files of the first stay, and the second's key is not even taken out."""
    place = open_place(web(folder, layout=layout))
    first = place.issued(owner="anna")
    place.deliver()
    there = folder / "shop.example" / ("live" if layout == "versioned" else "")
    before = serial(there, place.environment)
    second = place.issued(owner="bert")
    place.deliver()
    assert "contains the files of another certificate" in place.reason(second, "web")
    assert first in place.reason(second, "web")
    assert place.reveals(second) == []
    assert serial(there, place.environment) == before
    place.core.certificates.delete(first)
    place.deliver()
    assert place.reason(second, "web") is None
    assert serial(there, place.environment) == place.core.certificates.view(second).leaf.serial_hex
    assert unfinished(folder / "shop.example") == {second: []}


def imported(place, *names, end=None, self_signed=False, **fields):
    """The id of a certificate that was issued elsewhere, for the name of another one perhaps."""
    now = end or place.environment.now()
    leaf = self_signed_leaf(now) if self_signed else bought(*(names or ("shop.example",)), now=now)
    return place.core.certificates.import_certificate(*leaf, **fields).id


def self_signed_leaf(now):
    """A leaf that its own key has signed, and the key."""
    key = generate_key(KeyType.EC_P256)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(30))
    names = x509.SubjectAlternativeName([x509.DNSName("shop.example")])
    leaf = built.add_extension(names, critical=False).sign(key, SHA256())
    return leaf.public_bytes(Encoding.PEM).decode(), private_key_pem(key)


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_leaf_that_was_issued_here_takes_the_place_of_an_imported_one(open_place, folder, layout):
    """Importing proves nothing: whoever does may have signed the leaf himself, to keep a name's owner out."""
    place = open_place(web(folder, imports=True, layout=layout))
    false = imported(place, owner="mallory")
    place.deliver()
    assert place.reason(false, "web") is None
    there = folder / "shop.example" / ("live" if layout == "versioned" else "")
    right = place.issued(owner="anna")
    place.deliver()
    assert place.reason(right, "web") is None
    own = place.core.certificates.view(right).leaf.serial_hex
    assert serial(there, place.environment) == own
    again = imported(place, owner="mallory")
    place.deliver()
    assert right in place.reason(again, "web")
    assert serial(there, place.environment) == own
    assert place.reveals(again) == []


def test_imported_leaves_and_one_owners_keep_their_places(open_place, folder):
    """Another imported one is no better, and an owner decides himself what becomes of his."""
    place = open_place(web(folder, imports=True))
    first = imported(place, owner="anna")
    place.deliver()
    for other in (imported(place, owner="bert"), place.issued(owner="anna")):
        place.deliver()
        assert first in place.reason(other, "web")


def test_an_imported_certificate_that_was_renewed_here_is_as_good_as_any(open_place, folder):
    """Its leaf in service was issued here."""
    place = open_place(web(folder, imports=True))
    first = imported(place, owner="anna")
    place.core.certificates.edit(first, authority=place.authority.id)
    place.renewed(first)
    place.deliver()
    assert place.reason(first, "web") is None
    second = place.issued(owner="bert")
    place.deliver()
    assert first in place.reason(second, "web")


@pytest.mark.parametrize("how", ["expired", "revoked", "renamed"])
def test_a_place_that_is_not_needed_any_more_is_free(open_place, folder, how):
    """Also for another owner: the leaf in service has ended, was revoked, or has its place in another folder."""
    place = open_place(web(folder))
    first = place.issued(owner="anna")
    place.deliver()
    second = place.issued(owner="bert")
    place.deliver()
    assert first in place.reason(second, "web")
    if how == "expired":
        place.environment.advance(timedelta(days=200))
        place.renewed(second)
    elif how == "revoked":
        place.core.certificates.revoke(first)
    else:
        place.environment.advance(timedelta(seconds=1))
        place.core.certificates.reissue(first, domain="store.example")
        for _ in range(4):
            place.core.reconcile(first)
    place.deliver()
    assert place.reason(second, "web") is None
    assert serial(folder / "shop.example", place.environment) == place.core.certificates.view(second).leaf.serial_hex
    if how == "renamed":
        own = place.core.certificates.view(first).leaf.serial_hex
        assert serial(folder / "store.example", place.environment) == own


@pytest.mark.parametrize(("options", "self_signed"), [({}, False), ({}, True), ({"imports": True}, True)])
def test_what_nobody_has_validated_is_not_deployed(open_place, folder, options, self_signed):
    """A leaf that a tenant imports for somebody else's name reaches no server: it is opt-in, self-signed ones never."""
    place = open_place(web(folder, **options))
    stranger = imported(place, owner="mallory", self_signed=self_signed)
    place.deliver()
    assert not folder.exists()
    assert place.reason(stranger, "web") is None
    assert place.reveals(stranger) == []
    bank = place.issued(owner="bank")
    place.deliver()
    assert place.reason(bank, "web") is None
    assert names(folder) == ["shop.example"]


@pytest.mark.parametrize("what_became_of_it", ["valid", "expired", "revoked", "deleted"])
def test_an_import_never_takes_another_owners_place(open_place, folder, what_became_of_it):
    """Neither while the other certificate is there nor afterwards; one of the same owner may."""
    place = open_place(web(folder, imports=True))
    first = place.issued(owner="bank")
    place.deliver()
    before = serial(folder / "shop.example", place.environment)
    if what_became_of_it == "expired":
        place.environment.advance(timedelta(days=200))
    elif what_became_of_it == "revoked":
        place.core.certificates.revoke(first)
    elif what_became_of_it == "deleted":
        place.core.certificates.delete(first)
    stranger = imported(place, owner="mallory")
    place.deliver()
    assert "contains the files of another certificate" in place.reason(stranger, "web")
    assert place.reveals(stranger) == []
    assert serial(folder / "shop.example", place.environment) == before
    own = imported(place, owner="bank")
    place.deliver()
    is_free = what_became_of_it != "valid"
    assert (place.reason(own, "web") is None) == is_free
    assert (serial(folder / "shop.example", place.environment) != before) == is_free


@pytest.mark.parametrize(
    ("more", "is_deployed"),
    [
        (["*.mallory.example"], True),
        (["www.mallory.example"], True),
        (["bank.example"], False),
        (["notmallory.example"], False),
    ],
)
def test_an_import_brings_no_name_that_the_target_does_not_select(open_place, folder, more, is_deployed):
    """A server of a shared folder answers for all names of each leaf in it, not for the primary one alone."""
    place = open_place(
        web(folder, imports=True, folder=str(folder), format="haproxy", domains=["mallory.example", ".able.example"])
    )
    stranger = imported(place, "mallory.example", *more, owner="mallory")
    place.deliver()
    assert place.reason(stranger, "web") is None
    assert folder.exists() == is_deployed
    assert place.reveals(stranger) == ([("plugin:web", "deployed by web")] if is_deployed else [])


def test_one_file_of_a_shared_folder_is_taken_over(open_place, folder):
    """Its other files stay those of the certificate that had it."""
    target = web(folder, imports=True, folder=str(folder), format="haproxy")
    place = open_place(target)
    first = imported(place, owner="mallory")
    place.deliver()
    document = json.loads((folder / RECORD).read_text())
    document["certificates"][first] |= {"files": ["more.pem", "shop.example.pem"], "unfinished": {"web": "x"}}
    (folder / RECORD).write_text(json.dumps(document))
    second = place.issued(owner="anna")
    place.deliver()
    assert place.reason(second, "web") is None
    document = json.loads((folder / RECORD).read_text())["certificates"]
    assert [document[one]["files"] for one in (first, second)] == [["more.pem"], ["shop.example.pem"]]
    with pytest.raises(DeploymentError, match=second):
        target.certcore_on_event(place.event(first, "imported"), place.core.certificates)


def test_a_leaf_that_has_ended_is_not_deployed(open_place, folder):
    """An old one that is imported does not take the place of files that are good still; and it is no error."""
    place = open_place(web(folder, imports=True))
    first = place.issued()
    place.deliver()
    before = serial(folder / "shop.example", place.environment)
    place.core.certificates.delete(first)
    ended = imported(place, end=place.environment.now() - timedelta(days=400))
    assert place.core.certificates.get(ended).status is Status.EXPIRED
    place.deliver()
    assert place.reason(ended, "web") is None
    assert serial(folder / "shop.example", place.environment) == before
    assert place.reveals(ended) == []


def test_a_certificate_that_was_made_anew_takes_its_place(open_place, folder, script):
    """When its owner deleted the one before; not as long as that one is there."""
    place = open_place(web(folder, command=script("note $CERTCORE_CERTIFICATE_ID")))
    first = place.issued(owner="anna")
    place.deliver()
    second = place.issued(owner="anna")
    place.deliver()
    assert "another certificate" in place.reason(second, "web")
    place.core.certificates.delete(first)
    place.deliver()
    assert place.reason(second, "web") is None
    assert script.noted() == [first, second]
    assert unfinished(folder / "shop.example") == {second: []}


def test_certificates_can_share_a_folder(open_place, folder):
    """Where each has files of its own name, as HAProxy likes them; one of the same name is refused."""
    place = open_place(web(folder, folder=str(folder), format="haproxy"))
    certificate_id, other = place.issued("one.example"), place.issued("other.example")
    place.deliver()
    assert names(folder) == ["one.example.pem", "other.example.pem"]
    same = place.issued("one.example", owner="bert")
    before = (folder / "one.example.pem").read_bytes()
    place.deliver()
    assert "another certificate" in place.reason(same, "web")
    assert (folder / "one.example.pem").read_bytes() == before
    place.renewed(certificate_id)
    place.renewed(other)
    place.deliver()
    assert (folder / "one.example.pem").read_bytes() != before
    assert [place.reason(each, "web") for each in (certificate_id, other)] == [None, None]


@pytest.mark.skipif(shutil.which("haproxy", path=SEARCHED) is None, reason="haproxy is not installed")
def test_haproxy_reads_a_shared_folder(open_place, folder, tmp_path):
    """It takes every file of a folder for a certificate; what is noted there it leaves alone."""
    place = open_place(web(folder, folder=str(folder), format="haproxy", command=("/bin/true",)))
    ids = [place.issued("one.example"), place.issued("other.example")]
    place.deliver()
    assert [place.reason(certificate_id, "web") for certificate_id in ids] == [None, None]
    assert {RECORD, LOCK} <= {path.name for path in folder.iterdir()}
    (tmp_path / "haproxy.cfg").write_text(
        f"frontend tls\n  mode http\n  timeout client 1s\n  bind 127.0.0.1:{free_port()} ssl crt {folder}/\n"
    )
    read = subprocess.run(
        [shutil.which("haproxy", path=SEARCHED), "-c", "-f", tmp_path / "haproxy.cfg"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_folder_without_placeholder_is_one_certificates(open_place, folder, layout):
    """Formats whose files have the same names for all, and versions, cannot be shared."""
    place = open_place(web(folder, folder=str(folder), layout=layout))
    first = place.issued("one.example")
    place.deliver()
    second = place.issued("other.example")
    place.deliver()
    assert place.reason(first, "web") is None
    assert "another certificate" in place.reason(second, "web")
    there = folder / "live" if layout == "versioned" else folder
    assert serial(there, place.environment) == place.core.certificates.view(first).leaf.serial_hex


def test_two_targets_for_one_certificate(open_place, folder, script):
    """Formats beside each other in one folder; each target's command is its own affair."""
    ok, bad = script("note $1"), ("/bin/false",)
    place = open_place(web(folder, command=(*ok, "pem")), web(folder, name="ha", format="haproxy", command=bad))
    certificate_id = place.issued()
    place.deliver()
    assert names(folder / "shop.example") == [
        "cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "shop.example.pem"
    ]  # fmt: skip
    assert place.reason(certificate_id, "web") is None
    assert "/bin/false ended with exit code 1" in place.reason(certificate_id, "ha")
    assert unfinished(folder / "shop.example") == {certificate_id: ["ha"]}
    place.deliver()
    assert script.noted() == ["pem"]


@pytest.mark.parametrize("name", [RECORD, LOCK])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_in_the_place_of_a_note_is_not_touched(open_place, folder, tmp_path, name, kind):
    """A link, a pipe or a folder there is refused, and nothing is waited for, followed or written."""
    there = folder / "shop.example"
    there.mkdir(parents=True, mode=0o700)
    if kind == "link":
        (there / name).symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(there / name)
    else:
        (there / name).mkdir()
    place = open_place(web(folder))
    certificate_id = place.issued()
    place.deliver()
    assert "cannot be read" in place.reason(certificate_id, "web")
    assert not (tmp_path / "elsewhere").exists()
    assert set(names(there)) <= {name}
    assert place.reveals(certificate_id) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"version": 2, "certificates": {}}',
        b'{"version": 1}',
        b'{"version": 1, "certificates": [1]}',
        b'{"version": 1, "certificates": {"a": {"owner": "", "whole": true, "files": "ab", "unfinished": {}}}}',
    ],
)
def test_a_note_that_cannot_be_read_lets_nobody_in(open_place, folder, content):
    """Whose the files are is not known then; the sentence says what to do."""
    there = folder / "shop.example"
    there.mkdir(parents=True, mode=0o700)
    (there / RECORD).write_bytes(content)
    place = open_place(web(folder))
    certificate_id = place.issued()
    place.deliver()
    assert "cannot be read" in place.reason(certificate_id, "web")
    assert names(there) == []
    (there / RECORD).unlink()
    place.deliver()
    assert place.reason(certificate_id, "web") is None


def test_folders_that_are_not_to_be_trusted(open_place, folder, tmp_path):
    """A link, a folder that others can write to, a way through a stranger's folder: a sentence, and no file."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.mkdir(mode=0o755)
    there = folder / "shop.example"
    place = open_place(web(folder))
    certificate_id = place.issued()
    there.symlink_to(elsewhere)
    place.deliver()
    assert "is a link" in place.reason(certificate_id, "web")
    there.unlink()
    there.mkdir()
    there.chmod(0o770)
    place.deliver()
    assert "Others can write to" in place.reason(certificate_id, "web")
    there.rmdir()
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
        place.deliver()
        assert "belongs to another user" in place.reason(certificate_id, "web")
        assert list(folder.iterdir()) == []
        os.chown(folder, 0, 0)
    assert list(elsewhere.iterdir()) == []
    assert place.reveals(certificate_id) == []
    place.deliver()
    assert place.reason(certificate_id, "web") is None


@needs_root
def test_files_for_another_user(open_place, folder):
    """Files and folder are theirs, the group can read the key, and a name that is nobody's is refused in words."""
    place = open_place(
        web(folder, owner=12345, group=54321, secret_mode=0o640),
        web(folder / "x", name="wrong", owner="nobody-of-this-name"),
    )
    certificate_id = place.issued()
    place.deliver()
    key = folder / "shop.example" / "privkey.pem"
    for path in (key, key.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)
    assert stat.S_IMODE(key.stat().st_mode) == 0o640
    assert place.reason(certificate_id, "web") is None
    assert "there is no user 'nobody-of-this-name'" in place.reason(certificate_id, "wrong")


def test_a_file_where_the_folder_should_be(open_place, folder):
    """The system's own refusal becomes a sentence."""
    folder.write_text("a file")
    place = open_place(web(folder))
    certificate_id = place.issued()
    place.deliver()
    assert "Not a directory" in place.reason(certificate_id, "web")
    assert folder.read_text() == "a file"
