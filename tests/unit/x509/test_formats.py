"""The formats that certificates are exported in, and the values around them."""

import io
import re
import stat
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError, KeyMismatchError, PluginError, UnreadablePemError, X509Error
from certcore.model.export import Exported, ExportedFile, ExportFormat, ExportOptions, Use, file_stem
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import parse_certificates, parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.formats import EXPORT_FORMATS, find_format
from certcore.x509.keys import generate_key, private_key_pem
from support.examples import examples
from support.keys import rsa_key

NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
NAMES = (DnsName("shop.example"), DnsName("*.shop.example"))
CA = LittleAuthority(NOW)
KEYS = {kind: generate_key(kind) for kind in (KeyType.EC_P256, KeyType.EC_P384)} | {KeyType.RSA_2048: rsa_key()}
PASSWORD = "canary password 1!"


def _exported(kind=KeyType.EC_P256, names=NAMES, **changes):
    chain = parse_chain(CA.issue(build_csr(KEYS[kind], NAMES, Subject()).decode(), now=NOW))
    known = {"leaf_pem": chain.leaf_pem, "chain_pem": chain.chain_pem, "root_pem": CA.root_pem}
    return Exported(**{"names": names, "private_key": Secret(private_key_pem(KEYS[kind])), **known, **changes})


SHOP = _exported()


def _options(**given):
    return ExportOptions(at=NOW, **{"password": Secret(PASSWORD) if given.pop("locked", False) else None, **given})


def _export(name, exported=SHOP, **given):
    return {one.name: one for one in find_format(name).export(exported, _options(**given))}


def _der(pem):
    return [parse_certificate.public_bytes(serialization.Encoding.DER) for parse_certificate in parse_certificates(pem)]


ALL_DER = _der(SHOP.fullchain_pem + SHOP.root_pem)


def _key_der(kind=KeyType.EC_P256):
    return KEYS[kind].private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_pem_is_byte_identical():
    """What went in comes out, and concatenated in the order that servers want."""
    files = _export("pem")
    assert {name: one.content.decode() for name, one in files.items()} == {
        "cert.pem": SHOP.leaf_pem,
        "chain.pem": SHOP.chain_pem,
        "fullchain.pem": SHOP.leaf_pem + SHOP.chain_pem,
        "root.pem": CA.root_pem,
        "privkey.pem": SHOP.private_key.reveal_text(),
    }


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("name", ["pem", "der"])
def test_a_locked_key_opens_with_the_password_alone(kind, name):
    """Encrypted PKCS#8 is the same key after it was opened; nothing of it stands in the file."""
    files = _export(name, _exported(kind), locked=True)
    content = files["privkey.pem" if name == "pem" else "privkey.der"].content
    load = serialization.load_pem_private_key if name == "pem" else serialization.load_der_private_key
    again = load(content, PASSWORD.encode())
    assert private_key_pem(again) == private_key_pem(KEYS[kind])
    with pytest.raises(ValueError):  # noqa: PT011 - of 256 wrong passwords one is refused for the noise that it opens
        load(content, b"another")
    assert _key_der(kind)[-20:] not in content
    if name == "pem":
        lines = content.decode().splitlines()
        assert lines[0] == "-----BEGIN ENCRYPTED PRIVATE KEY-----"
        assert {len(line) for line in lines[1:-2]} == {64}


@pytest.mark.slow(reason="runs openssl for each example")
@given(password=st.text(st.characters(min_codepoint=32, exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=40))
@examples(8)
def test_any_password_of_one_line_opens_what_it_locked(password):
    """Also in other scripts: UTF-8, as every reader of PKCS#8 takes it."""
    locked = _export("pem", password=Secret(password))["privkey.pem"].content
    again = serialization.load_pem_private_key(locked, password.encode())
    assert private_key_pem(again) == private_key_pem(KEYS[KeyType.EC_P256])


def test_what_is_locked_is_so_with_fresh_salts():
    """Two exports of the same key under the same password share no ciphertext."""
    first, second = (_export("der", locked=True)["privkey.der"].content for _ in range(2))
    assert first[-32:] != second[-32:]


def test_der_is_byte_identical():
    """The leaf and the unencrypted key in their own encoding; the bundle holds the whole chain."""
    files = _export("der")
    assert files["cert.der"].content == ALL_DER[0]
    assert files["privkey.der"].content == _key_der()
    bundled = pkcs7.load_der_pkcs7_certificates(files["fullchain.p7b"].content)
    assert {one.public_bytes(serialization.Encoding.DER) for one in bundled} == set(ALL_DER)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_key_store_holds_key_chain_and_name(kind, legacy):
    """Both forms open with their password, and only with it; the friendly name is the domain unless given."""
    exported = _exported(kind)
    given_name, expected = ("Mein Shöp 日本", "Mein Shöp 日本") if kind is KeyType.RSA_2048 else ("", "shop.example")
    (file,) = _export("pkcs12", exported, locked=True, legacy=legacy, friendly_name=given_name).values()
    assert file.name == "shop.example.p12"
    store = pkcs12.load_pkcs12(file.content, PASSWORD.encode())
    assert private_key_pem(store.key) == private_key_pem(KEYS[kind])
    assert store.cert.friendly_name == expected.encode()
    held = [store.cert.certificate, *(additional_cert.certificate for additional_cert in store.additional_certs)]
    assert held == parse_certificates(exported.fullchain_pem + exported.root_pem)
    with pytest.raises(ValueError, match="nvalid password"):
        pkcs12.load_pkcs12(file.content, b"another")


@pytest.fixture(scope="module")
def key_store():
    """What a key store holds; it takes a while to make one."""
    return _export("pkcs12", locked=True)["shop.example.p12"].content


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.97])
def test_a_changed_key_store_does_not_open(place, key_store):
    """Its MAC covers all of it: one flipped bit is noticed."""
    content = bytearray(key_store)
    content[int(len(content) * place)] ^= 1
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ with the place
        pkcs12.load_pkcs12(bytes(content), PASSWORD.encode())


@pytest.mark.parametrize("length", [1, 31, 32, 130])
def test_key_stores_take_passwords_of_any_length(length):
    """Shorter and longer than the blocks that the key derivation works on."""
    password = ("0123456789" * 13)[:length]
    (file,) = _export("pkcs12", password=Secret(password)).values()
    assert pkcs12.load_pkcs12(file.content, password.encode()).cert.certificate.serial_number


def test_pkcs7_is_public():
    """Certificates only: the format never sees the key."""
    (file,) = _export("pkcs7").values()
    assert (file.name, file.secret, file.mode) == ("shop.example.p7b", False, 0o644)
    assert len(pkcs7.load_der_pkcs7_certificates(file.content)) == 3


def test_an_archive_is_byte_identical():
    """The same exported at the same time is the same archive, whatever the time zone; its files are those of PEM."""
    (file,) = _export("zip").values()
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
    alone = {one.name: one.content for name in ("pem", "der") for one in _export(name).values()}
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
        (file,) = _export("zip", **given_options).values()
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
    (file,) = _export("zip", _exported(private_key=None)).values()
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
    made = _export(name, folder="/srv/tls/shöp/live/")
    assert set(made) == files
    (snippet,) = (one for one in made.values() if "-ssl." in one.name)
    text = snippet.content.decode()
    for line in lines:
        assert re.search(rf"^{re.escape(line)}", text, re.MULTILINE)
    named = re.findall(r"(/[^\s;\",]+/)([a-z]+\.pem)", text)
    assert {folder for folder, _ in named} == {"/srv/tls/shöp/live/"}
    assert {"fullchain.pem", "privkey.pem"} <= {file for _, file in named} <= files
    assert "/etc/ssl/shop.example/privkey.pem" in "".join(
        one.content.decode() for one in _export(name).values() if "-ssl." in one.name
    )


def test_haproxy_is_one_file():
    """Certificate, chain and key, in this order: its folder may hold nothing else."""
    (file,) = _export("haproxy", _exported(names=(DnsName("*.shop.example"),))).values()
    assert (file.name, file.secret, file.mode) == ("_wildcard.shop.example.pem", True, 0o600)
    assert re.findall(r"BEGIN ([A-Z ]+)-", file.content.decode()) == ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"]


def test_a_leaf_of_a_root_has_an_empty_chain():
    """The file is there nevertheless, so that the chain of an earlier certificate does not stay beside a new leaf."""
    exported = _exported(chain_pem="", root_pem=None)
    files = _export("pem", exported)
    assert files["chain.pem"].content == b""
    assert files["fullchain.pem"].content == files["cert.pem"].content
    assert "root.pem" not in files
    for name in ("der", "zip", "pkcs7", "nginx", "apache", "haproxy"):
        assert _export(name, exported)


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_every_format_is_as_it_declares(one):
    """The key is in it when it says so, only in secret files; secret files are 0600 and the others 0644."""
    locked = one.password is not Use.NEVER
    for password in {locked, one.password is Use.REQUIRED}:
        files = one.export(SHOP, _options(locked=password))
        assert {file.mode for file in files if file.secret} <= {0o600}
        assert {file.mode for file in files if not file.secret} <= {0o644}
        assert any(file.secret for file in files) is one.contains_key
        secret_part = SHOP.private_key.reveal().splitlines()[1]
        for file in files:
            if not file.secret or password:
                assert secret_part not in file.content
                assert _key_der() not in file.content
    bare = _exported(private_key=None)
    if one.private_key is Use.REQUIRED:
        with pytest.raises(InvalidInputError, match=r"^private_key: "):
            one.export(bare, _options(locked=one.password is Use.REQUIRED))
    else:
        assert not any(file.secret for file in one.export(bare, _options()))
    if one.password is Use.NEVER:
        with pytest.raises(InvalidInputError, match=r"^password: .* takes no password"):
            one.export(SHOP, _options(locked=True))
    if one.password is Use.REQUIRED:
        with pytest.raises(InvalidInputError, match=r"^password: .* needs one"):
            one.export(SHOP, _options())
    if not one.legacy:
        with pytest.raises(InvalidInputError, match=r"^legacy: "):
            one.export(SHOP, _options(locked=one.password is Use.REQUIRED, legacy=True))


def test_names_of_formats_are_distinct_and_found():
    """As typed, in any case; a wrong one is answered with those that there are."""
    assert len({export_format.name for export_format in EXPORT_FORMATS}) == len(EXPORT_FORMATS)
    assert find_format(" PKCS12 ").name == "pkcs12"
    with pytest.raises(InvalidInputError, match=r"no format 'gif'.*pem.*haproxy"):
        find_format("gif")


def test_an_archive_has_an_older_form_only_with_its_key_store():
    """Asking for it without a password would change nothing, so it is refused."""
    with pytest.raises(InvalidInputError, match="legacy"):
        _export("zip", legacy=True)
    assert _export("zip", legacy=True, locked=True)


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_a_key_of_another_certificate_is_refused(one):
    """By every format that would put the two together."""
    other = _exported(private_key=Secret(private_key_pem(KEYS[KeyType.EC_P384])))
    options = _options(locked=one.password is Use.REQUIRED)
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
        one.export(_exported(**changes), _options(locked=one.password is Use.REQUIRED))


def test_an_unreadable_key_is_refused_without_being_repeated():
    """The error tells what it is, and not what it says."""
    with pytest.raises(X509Error) as refused:
        _export("pem", _exported(private_key=Secret("canary rubbish")))
    assert "canary" not in repr(refused.value) + str(refused.value)


def test_pem_of_other_systems_is_put_right():
    """Windows line ends, bag attributes and missing last line ends do not get into the files."""
    strange = SHOP.leaf_pem.replace("\n", "\r\n").rstrip()
    exported = _exported(
        leaf_pem=f"Bag Attributes\r\n    friendlyName: x\r\n{strange}", chain_pem=SHOP.chain_pem.rstrip()
    )
    same = _exported(leaf_pem=SHOP.leaf_pem)
    assert _export("pem", exported) == _export("pem", same)
    assert exported.fullchain_pem.endswith(SHOP.fullchain_pem.partition("\n")[2])


# ----------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("shop.example", "shop.example"),
        ("*.Shop.example", "_wildcard.shop.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001-db8--7"),
        ("con.example", "_con.example"),
        ("COM1.example", "_com1.example"),
        ("console.example", "console.example"),
        ("localhost", "localhost"),
    ],
)
def test_files_are_named_after_the_domain(name, stem):
    """Recognisable, and safe in every file system."""
    assert file_stem(name) == stem


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(name=st.text(min_size=1, max_size=300) | st.lists(LABEL, min_size=2, max_size=6).map(".".join))
@examples(300)
def test_no_name_makes_an_unsafe_file(name):
    """Whatever the name is: one part, not hidden, no option, short enough with its ending, and fit for an export."""
    stem = file_stem(name)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", stem)
    assert len(stem) <= 210
    assert stem not in {".", ".."}
    assert ExportedFile(name=f"{stem}.zip", content=b"").name == f"{stem}.zip"


@given(
    names=st.lists(
        st.text(min_size=1, max_size=300), min_size=2, max_size=2, unique_by=lambda name: name.strip().lower()
    )
)
@examples(300)
def test_two_odd_names_never_share_a_file(names):
    """Names that are replaced or cut off get a digest; names in A-labels need none."""
    odd = [name for name in names if re.search(r"[^a-z0-9.-]", name.strip().lower())]
    stems = {file_stem(name) for name in odd}
    assert len(stems) == len(odd)


def test_long_names_stay_apart():
    """Two names of 250 characters that differ at the end."""
    long = ".".join(["a" * 62] * 4)
    assert file_stem(f"{long}a") != file_stem(f"{long}b")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "/etc/passwd", "a\\b", "a b", "a\nb", "a\0b", "-rf", "ä.pem", "x" * 231],
)
def test_names_of_exported_files_have_one_part(name):
    """A plugin cannot write elsewhere than into the folder."""
    with pytest.raises(InvalidInputError, match=r"^name: "):
        ExportedFile(name=name, content=b"")


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o606, 0o601, 0o4600, -1])
def test_a_secret_file_is_never_open_to_everybody(mode):
    """Nor does a mode have other bits than those of permissions."""
    with pytest.raises(InvalidInputError, match=r"^mode: "):
        ExportedFile(name="a", content=b"", secret=True, mode=mode)
    assert ExportedFile(name="a", content=b"", secret=True, mode=0o640).mode == 0o640


@pytest.mark.parametrize(
    "folder",
    [
        "relative",
        "/a b",
        "/a;b",
        "/a\nssl_engine x",
        "/a$b",
        '/a"b',
        "/a'b",
        "/a{b",
        "/a}b",
        "/a\\b",
        "/a#b",
        "/a,b",
        "/a%b",
    ],
)
def test_folders_cannot_break_out_of_a_configuration(folder):
    """What would need quoting, and what would end a line, is refused with words."""
    with pytest.raises(InvalidInputError, match=r"^folder: "):
        _options(folder=folder)


@pytest.mark.parametrize(
    "password", ["", "a\nb", "a\0b", "\x7f", "a\u2028b", "x" * 1001, "ü" * 501, b"\xff\xfe canary", b"\xed\xa0\x80"]
)
def test_passwords_that_nobody_can_type_are_refused(password):
    """Empty ones above all: they would be taken for none. The password is not repeated."""
    with pytest.raises(InvalidInputError, match=r"^password: ") as refused:
        _options(password=Secret(password))
    assert "canary" not in repr(refused.value)


@pytest.mark.parametrize("name", ["pkcs12", "zip"])
def test_key_stores_refuse_passwords_that_java_does_not_take(name):
    """Letters outside of ASCII; the other formats take them."""
    with pytest.raises(InvalidInputError, match=r"^password: .*ASCII") as refused:
        _export(name, password=Secret("pässwort"))
    assert "pässwort" not in str(refused.value)
    assert _export("pem", password=Secret("pässwort"))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ExportOptions(at=datetime(2026, 1, 1)), "at"),  # noqa: DTZ001 - that is what is refused
        (lambda: _options(friendly_name="a\nb"), "friendly_name"),
        (lambda: _options(friendly_name="x" * 201), "friendly_name"),
        (lambda: _exported(names=()), "names"),
        (lambda: _exported(names=("shop.example", " ")), "names"),
        (lambda: _exported(names=("shop.example\nssl_engine x",)), "names"),
        (lambda: ExportFormat(name="Bad Name", title="x", private_key=Use.NEVER, make=lambda *_: ()), "name"),
        (_exported(private_key=None).reveal_private_key, "private_key"),
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
    assert export_format.export(SHOP, _options()) == find_format("haproxy").export(SHOP, _options())


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
        one.export(SHOP, _options())


def test_a_format_without_the_key_never_sees_it():
    """The exported that it gets has none, whatever the caller gave."""
    seen = []

    def look(exported, options):
        seen.append(exported.private_key)
        return [ExportedFile(name="a", content=b"")]

    ExportFormat(name="public", title="Public", private_key=Use.NEVER, make=look).export(SHOP, _options())
    assert seen == [None]


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_nothing_shows_a_secret(one):
    """Neither exported, options, format nor files have the key or the password in their repr."""
    options = _options(locked=one.password is not Use.NEVER)
    shown = repr((SHOP, options, one, one.export(SHOP, options)))
    assert PASSWORD not in shown
    for line in SHOP.private_key.reveal_text().splitlines():
        assert line not in shown
    assert "BEGIN PRIVATE" not in shown
    assert re.search(r"ExportedFile\(name='[^']+', secret=(True|False), mode=0o6[04][04]\)", shown)


def test_certificates_are_the_same_after_every_round_trip():
    """Whatever the format, the leaf that comes out is the one that went in."""
    leaf = x509.load_pem_x509_certificate(SHOP.leaf_pem.encode())
    assert x509.load_pem_x509_certificate(_export("apache")["cert.pem"].content) == leaf
    assert x509.load_der_x509_certificate(_export("der")["cert.der"].content) == leaf
    assert parse_certificates(_export("haproxy")["shop.example.pem"].content)[0] == leaf
    assert leaf in pkcs7.load_der_pkcs7_certificates(_export("pkcs7")["shop.example.p7b"].content)
