"""The formats that certificates are exported in, also those of plugins."""

import io
import re
import stat
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from certcore.errors import InvalidInputError, KeyMismatchError, PluginError, UnreadablePemError, X509Error
from certcore.model.export import ExportedFile, ExportFormat, ExportOptions, Use
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.x509.chain import parse_certificates, parse_chain
from certcore.x509.formats import EXPORT_FORMATS, find_format
from certcore.x509.keys import private_key_pem
from support.exports import ALL_DER, CA, KEYS, NOW, PASSWORD, SHOP, export, exported_shop, key_der, options_of


def test_pem_is_byte_identical():
    """What went in comes out, and concatenated in the order that servers want."""
    files = export("pem")
    assert {name: one.content.decode() for name, one in files.items()} == {
        "cert.pem": SHOP.leaf_pem,
        "chain.pem": SHOP.chain_pem,
        "fullchain.pem": SHOP.leaf_pem + SHOP.chain_pem,
        "root.pem": CA.root_pem,
        "privkey.pem": SHOP.private_key.reveal_text(),
    }


def test_der_is_byte_identical():
    """The leaf and the unencrypted key in their own encoding; the bundle holds the whole chain."""
    files = export("der")
    assert files["cert.der"].content == ALL_DER[0]
    assert files["privkey.der"].content == key_der()
    bundled = pkcs7.load_der_pkcs7_certificates(files["fullchain.p7b"].content)
    assert {one.public_bytes(serialization.Encoding.DER) for one in bundled} == set(ALL_DER)


def test_pkcs7_is_public():
    """Certificates only: the format never sees the key."""
    (file,) = export("pkcs7").values()
    assert (file.name, file.secret, file.mode) == ("shop.example.p7b", False, 0o644)
    assert len(pkcs7.load_der_pkcs7_certificates(file.content)) == 3


def test_an_archive_is_byte_identical():
    """The same exported at the same time is the same archive, whatever the time zone; its files are those of PEM."""
    (file,) = export("zip").values()
    zoned = ExportOptions(at=NOW.astimezone(timezone(timedelta(hours=-11))))
    assert find_format("zip").export(SHOP, zoned)[0].content == file.content
    assert (file.name, file.secret, file.mode) == ("shop.example.zip", True, 0o600)
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        assert archive.testzip() is None
        held = {
            PurePosixPath(file_name).name: archive.read(file_name)
            for file_name in archive.namelist()
            if not file_name.endswith("/")
        }
    alone = {one.name: one.content for name in ("pem", "der") for one in export(name).values()}
    assert {name: held[name] for name in alone} == alone
    assert set(held) - set(alone) == {"README.txt"}


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (NOW, (2026, 11, 23, 12, 34, 56)),
        (NOW.replace(year=1970), (1980, 1, 1, 0, 0, 0)),
        (NOW.replace(year=2200), (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_times_and_modes_in_an_archive(at, told):
    """The caller's time, as far as the format can tell it; secrets are for their owner alone after unpacking."""
    (file,) = find_format("zip").export(SHOP, ExportOptions(at=at))
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        for entry in archive.infolist():
            assert entry.date_time == told
            assert entry.create_system == 3
            mode = entry.external_attr >> 16
            if entry.is_dir():
                assert (stat.S_ISDIR(mode), stat.S_IMODE(mode)) == (True, 0o700)
            else:
                secret = "privkey" in entry.filename
                assert (stat.S_ISREG(mode), stat.S_IMODE(mode)) == (True, 0o600 if secret else 0o644)


def test_the_readme_explains_every_file():
    """Each file of the archive has its paragraph; the facts are those of the leaf; no line is cut from a name."""
    for given_options in ({}, {"locked": True}):
        (file,) = export("zip", **given_options).values()
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            names = [PurePosixPath(file_name).name for file_name in archive.namelist() if not file_name.endswith("/")]
            text = archive.read("shop.example/README.txt").decode()
        for name in names:
            assert name == "README.txt" or f"\n{name}\n    " in text
        leaf = parse_chain(SHOP.fullchain_pem).leaf
        for fact in (leaf.serial_hex, leaf.fingerprint_sha256, "shop.example, *.shop.example", "2026-11-23 12:34 UTC"):
            assert fact in text
        assert ("cert.p12" in names) is ("openssl pkey -in privkey.pem" in text) is bool(given_options)
        assert max(map(len, text.splitlines())) < 90


def test_an_archive_without_the_key_is_no_secret():
    """Whoever may not take the key out gets the rest, and reads that it is not there."""
    (file,) = export("zip", exported_shop(private_key=None)).values()
    assert (file.secret, file.mode) == (False, 0o644)
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        assert not [name for name in archive.namelist() if "privkey" in name]
        assert "not in this archive" in archive.read("shop.example/README.txt").decode()


@pytest.mark.parametrize(
    ("name", "files", "lines"),
    [
        ("nginx", {"fullchain.pem", "privkey.pem", "nginx-ssl.conf"}, ["ssl_certificate ", "ssl_certificate_key "]),
        (
            "apache",
            {"cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "apache-ssl.conf"},
            ["SSLCertificateFile ", "SSLCertificateKeyFile "],
        ),
        ("lighttpd", {"fullchain.pem", "privkey.pem", "lighttpd-ssl.conf"}, ["ssl.pemfile ", "ssl.privkey "]),
        ("postfix", {"fullchain.pem", "privkey.pem", "postfix-ssl.cf"}, ["smtpd_tls_chain_files "]),
    ],
)
def test_servers_get_their_files_and_lines(name, files, lines):
    """The lines of the configuration name files that are there, in the folder that was asked for."""
    made = export(name, folder="/srv/tls/shöp/live/")
    assert set(made) == files
    (snippet,) = (one for one in made.values() if "-ssl." in one.name)
    text = snippet.content.decode()
    for line in lines:
        assert re.search(rf"^{re.escape(line)}", text, re.MULTILINE)
    named = re.findall(r"(/[^\s;\",]+/)([a-z]+\.pem)", text)
    assert {folder for folder, _ in named} == {"/srv/tls/shöp/live/"}
    assert {"fullchain.pem", "privkey.pem"} <= {file for _, file in named} <= files
    assert "/etc/ssl/shop.example/privkey.pem" in "".join(
        one.content.decode() for one in export(name).values() if "-ssl." in one.name
    )


def test_haproxy_is_one_file():
    """Certificate, chain and key, in this order: its folder may hold nothing else."""
    (file,) = export("haproxy", exported_shop(names=(DnsName("*.shop.example"),))).values()
    assert (file.name, file.secret, file.mode) == ("_wildcard.shop.example.pem", True, 0o600)
    assert re.findall(r"BEGIN ([A-Z ]+)-", file.content.decode()) == ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"]


def test_a_leaf_of_a_root_has_an_empty_chain():
    """The file is there nevertheless, so that the chain of an earlier certificate does not stay beside a new leaf."""
    exported = exported_shop(chain_pem="", root_pem=None)
    files = export("pem", exported)
    assert files["chain.pem"].content == b""
    assert files["fullchain.pem"].content == files["cert.pem"].content
    assert "root.pem" not in files
    for name in ("der", "zip", "pkcs7", "nginx", "apache", "haproxy"):
        assert export(name, exported)


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_every_format_is_as_it_declares(one):
    """The key is in it when it says so, only in secret files; secret files are 0600 and the others 0644."""
    locked = one.password is not Use.NEVER
    for password in {locked, one.password is Use.REQUIRED}:
        files = one.export(SHOP, options_of(locked=password))
        assert {file.mode for file in files if file.secret} <= {0o600}
        assert {file.mode for file in files if not file.secret} <= {0o644}
        assert any(file.secret for file in files) is one.contains_key
        secret_part = SHOP.private_key.reveal().splitlines()[1]
        for file in files:
            if not file.secret or password:
                assert secret_part not in file.content
                assert key_der() not in file.content
    bare = exported_shop(private_key=None)
    if one.private_key is Use.REQUIRED:
        with pytest.raises(InvalidInputError, match=r"^private_key: "):
            one.export(bare, options_of(locked=one.password is Use.REQUIRED))
    else:
        assert not any(file.secret for file in one.export(bare, options_of()))
    if one.password is Use.NEVER:
        with pytest.raises(InvalidInputError, match=r"^password: .* takes no password"):
            one.export(SHOP, options_of(locked=True))
    if one.password is Use.REQUIRED:
        with pytest.raises(InvalidInputError, match=r"^password: .* needs one"):
            one.export(SHOP, options_of())
    if not one.legacy:
        with pytest.raises(InvalidInputError, match=r"^legacy: "):
            one.export(SHOP, options_of(locked=one.password is Use.REQUIRED, legacy=True))


def test_names_of_formats_are_distinct_and_found():
    """As typed, in any case; a wrong one is answered with those that there are."""
    assert len({export_format.name for export_format in EXPORT_FORMATS}) == len(EXPORT_FORMATS)
    assert find_format(" PKCS12 ").name == "pkcs12"
    with pytest.raises(InvalidInputError, match=r"no format 'gif'.*pem.*haproxy"):
        find_format("gif")


def test_an_archive_has_an_older_form_only_with_its_key_store():
    """Asking for it without a password would change nothing, so it is refused."""
    with pytest.raises(InvalidInputError, match="legacy"):
        export("zip", legacy=True)
    assert export("zip", legacy=True, locked=True)


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_a_key_of_another_certificate_is_refused(one):
    """By every format that would put the two together."""
    other = exported_shop(private_key=Secret(private_key_pem(KEYS[KeyType.EC_P384])))
    options = options_of(locked=one.password is Use.REQUIRED)
    if not one.contains_key:
        assert one.export(other, options)
        return
    with pytest.raises(KeyMismatchError, match=r"shop\.example"):
        one.export(other, options)


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize(
    "changes",
    [
        {"leaf_pem": ""},
        {"leaf_pem": "rubbish"},
        {"leaf_pem": SHOP.fullchain_pem},
        {"chain_pem": "rubbish"},
        {"root_pem": CA.root_pem * 2},
    ],
)
def test_unreadable_material_is_refused(one, changes):
    """With one of our errors, and no half of an export."""
    with pytest.raises(UnreadablePemError):
        one.export(exported_shop(**changes), options_of(locked=one.password is Use.REQUIRED))


def test_an_unreadable_key_is_refused_without_being_repeated():
    """The error tells what it is, and not what it says."""
    with pytest.raises(X509Error) as refused:
        export("pem", exported_shop(private_key=Secret("canary rubbish")))
    assert "canary" not in repr(refused.value) + str(refused.value)


def test_pem_of_other_systems_is_put_right():
    """Windows line ends, bag attributes and missing last line ends do not get into the files."""
    strange = SHOP.leaf_pem.replace("\n", "\r\n").rstrip()
    exported = exported_shop(
        leaf_pem=f"Bag Attributes\r\n    friendlyName: x\r\n{strange}", chain_pem=SHOP.chain_pem.rstrip()
    )
    same = exported_shop(leaf_pem=SHOP.leaf_pem)
    assert export("pem", exported) == export("pem", same)
    assert exported.fullchain_pem.endswith(SHOP.fullchain_pem.partition("\n")[2])


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ExportOptions(at=datetime(2026, 1, 1)), "at"),  # noqa: DTZ001 - that is what is refused
        (lambda: options_of(friendly_name="a\nb"), "friendly_name"),
        (lambda: options_of(friendly_name="x" * 201), "friendly_name"),
        (lambda: exported_shop(names=()), "names"),
        (lambda: exported_shop(names=("shop.example", " ")), "names"),
        (lambda: exported_shop(names=("shop.example\nssl_engine x",)), "names"),
        (lambda: ExportFormat(name="Bad Name", title="x", private_key=Use.NEVER, make=lambda *_: ()), "name"),
        (exported_shop(private_key=None).reveal_private_key, "private_key"),
    ],
)
def test_bad_values_are_refused_at_the_door(make, field):
    """Each with the field that is wrong."""
    with pytest.raises(InvalidInputError) as refused:
        make()
    assert refused.value.field == field


def test_a_plugin_adds_a_format_in_a_few_lines():
    """The example of the module's docstring: a function and a value."""

    def combined(exported, options):
        both = exported.fullchain_pem.encode() + exported.reveal_private_key()
        return [ExportedFile(name=f"{exported.file_stem}.pem", content=both, secret=True)]

    one = ExportFormat(name="combined", title="One file", private_key=Use.REQUIRED, make=combined)
    export_format = find_format("combined", (*EXPORT_FORMATS, one))
    assert export_format.export(SHOP, options_of()) == find_format("haproxy").export(SHOP, options_of())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda exported, options: (), "at least one"),
        (lambda exported, options: [b"bytes"], "at least one"),
        (lambda exported, options: [ExportedFile(name=name, content=b"") for name in ("a", "A")], "share a name"),
        (
            lambda exported, options: [ExportedFile(name="a", content=b"x" + exported.private_key.reveal())],
            "not marked secret",
        ),
    ],
)
def test_a_plugin_that_makes_something_else_is_told(make, says):
    """Forgetting to mark the key as secret most of all; the format is named."""
    one = ExportFormat(name="broken", title="Broken", private_key=Use.OPTIONAL, make=make)
    with pytest.raises(PluginError, match=rf"'broken' failed in ExportFormat\.make: .*{says}"):
        one.export(SHOP, options_of())


def test_a_format_without_the_key_never_sees_it():
    """The exported that it gets has none, whatever the caller gave."""
    seen = []

    def look(exported, options):
        seen.append(exported.private_key)
        return [ExportedFile(name="a", content=b"")]

    ExportFormat(name="public", title="Public", private_key=Use.NEVER, make=look).export(SHOP, options_of())
    assert seen == [None]


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_nothing_shows_a_secret(one):
    """Neither exported, options, format nor files have the key or the password in their repr."""
    options = options_of(locked=one.password is not Use.NEVER)
    shown = repr((SHOP, options, one, one.export(SHOP, options)))
    assert PASSWORD not in shown
    for line in SHOP.private_key.reveal_text().splitlines():
        assert line not in shown
    assert "BEGIN PRIVATE" not in shown
    assert re.search(r"ExportedFile\(name='[^']+', secret=(True|False), mode=0o6[04][04]\)", shown)


def test_certificates_are_the_same_after_every_round_trip():
    """Whatever the format, the leaf that comes out is the one that went in."""
    leaf = x509.load_pem_x509_certificate(SHOP.leaf_pem.encode())
    assert x509.load_pem_x509_certificate(export("apache")["cert.pem"].content) == leaf
    assert x509.load_der_x509_certificate(export("der")["cert.der"].content) == leaf
    assert parse_certificates(export("haproxy")["shop.example.pem"].content)[0] == leaf
    assert leaf in pkcs7.load_der_pkcs7_certificates(export("pkcs7")["shop.example.p7b"].content)
