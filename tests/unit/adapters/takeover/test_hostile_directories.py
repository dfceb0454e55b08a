"""Folders that are broken or hostile: every trouble ends in a sentence, none in an exception, and no key is shown."""

import json
import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certcore.adapters.takeover import Client, read_folder
from certcore.adapters.takeover.directories import caddy_key, checked_url, server_of
from certcore.adapters.takeover.reader import attempt
from certcore.adapters.takeover.source_directory import MOST_ENTRIES
from certcore.errors import InvalidInputError

CA = "ca.test-dir"


def certbot(root, world, issued):
    for stem, content in (("cert", issued.leaf), ("chain", issued.chain), ("privkey", issued.key_pem)):
        put(root / f"archive/shop.test/{stem}1.pem", content)
        link = root / f"live/shop.test/{stem}.pem"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../archive/shop.test/{stem}1.pem")
    put(root / "renewal/shop.test.conf", "[renewalparams]\naccount = ab12\nserver = https://ca.test/dir\n")
    put(root / "accounts/ca.test/dir/ab12/private_key.json", json.dumps(world.jwk(world.ec_key())))
    put(root / "accounts/ca.test/dir/ab12/regr.json", '{"body": {}, "uri": "https://ca.test/acct/1"}')


def lego(root, world, issued):
    put(root / "certificates/shop.test.crt", issued.leaf)
    put(root / "certificates/shop.test.issuer.crt", issued.chain)
    put(root / "certificates/shop.test.key", issued.key_pem)
    put(root / "certificates/shop.test.json", '{"domain": "shop.test", "certUrl": "https://ca.test/cert/1"}')
    put(root / "accounts/ca.test/me@shop.test/account.json", '{"registration": {"uri": "https://ca.test/acct/1"}}')
    put(root / "accounts/ca.test/me@shop.test/keys/me@shop.test.key", world.pem(world.ec_key()))


def acme_sh(root, world, issued):
    put(root / "account.conf", "USER_PATH='/bin'\n")
    put(root / "shop.test_ecc/shop.test.cer", issued.leaf)
    put(root / "shop.test_ecc/ca.cer", issued.chain)
    put(root / "shop.test_ecc/shop.test.key", issued.key_pem)
    put(root / "shop.test_ecc/shop.test.conf", "Le_Domain='shop.test'\nLe_API='https://ca.test/dir'\n")
    put(root / "ca/ca.test/dir/account.key", world.pem(world.ec_key()))
    put(root / "ca/ca.test/dir/account.json", '{"status": "valid"}')
    put(root / "ca/ca.test/dir/ca.conf", "ACCOUNT_URL='https://ca.test/acct/1'\n")


def caddy(root, world, issued):
    put(root / f"certificates/{CA}/shop.test/shop.test.crt", issued.leaf + issued.chain)
    put(root / f"certificates/{CA}/shop.test/shop.test.key", issued.key_pem)
    put(root / f"certificates/{CA}/shop.test/shop.test.json", '{"sans": ["shop.test"], "issuer_data": {}}')
    put(root / f"acme/{CA}/users/me@shop.test/me.key", world.pem(world.ec_key()))
    put(root / f"acme/{CA}/users/me@shop.test/me.json", '{"location": "https://ca.test/acct/1"}')


LAYOUTS = {Client.CERTBOT: certbot, Client.LEGO: lego, Client.ACME_SH: acme_sh, Client.CADDY: caddy}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture(params=LAYOUTS, ids=str)
def client(request):
    return request.param


@pytest.fixture
def folder(tmp_path, world, client):
    """A whole folder of a client, with one certificate and one account."""
    LAYOUTS[client](tmp_path / "data", world, world.issue())
    return tmp_path / "data"


def things(found):
    return len(found.certificates) + len(found.accounts) + len(found.unreadable)


def lines_of_keys(folder):
    """Pieces of keys that no text may show."""
    pieces = set()
    for path in folder.rglob("*"):
        if path.is_file() and ("key" in path.name) and not path.is_symlink():
            pieces |= set(re.findall(r"[A-Za-z0-9+/_-]{30,}", path.read_text(errors="replace")))
    return {piece for piece in pieces if "KEY" not in piece}


def test_a_whole_folder_is_read_and_not_changed(folder, client, world):
    """One certificate and one account; no file is touched; and nothing that is shown holds a piece of a key."""
    before = {path: path.lstat() for path in folder.rglob("*")}
    result = read_folder(folder, now=world.now)
    assert (result.client, len(result.certificates), len(result.accounts), result.unreadable) == (client, 1, 1, ())
    after = {path: path.lstat() for path in folder.rglob("*")}
    unchanged = ("st_ino", "st_mode", "st_mtime_ns", "st_ctime_ns", "st_size")
    assert before.keys() == after.keys()
    assert all(getattr(before[path], name) == getattr(after[path], name) for path in before for name in unchanged)
    shown = repr(result) + str(result) + f"{result.certificates[0]} {result.accounts[0]}"
    pieces = lines_of_keys(folder)
    assert len(pieces) >= 2
    assert not [piece for piece in pieces if piece in shown]


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _gone(path):
    path.unlink()


def _empty(path):
    path.write_bytes(b"")


def _binary(path):
    path.write_bytes(bytes(range(256)) * 20)


def _huge(path):
    path.unlink()
    with path.open("wb") as file:
        file.truncate(50 * 1024**3)  # sparse: it takes no place


def _long(path):
    path.write_bytes(path.read_bytes() + b"\n" * 500_000)


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _loop(path):
    path.unlink()
    path.symlink_to(path.name)


def _outside(path):
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def _zero(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def _nested(path):
    path.write_text("[" * 60_000)


def _wrong_shape(path):
    path.write_text(json.dumps({"registration": 1, "body": [1], "issuer_data": "x", "sans": {}, "uri": {}, "kty": []}))


def _other_key(path):
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


DAMAGES = (
    *(_cut, _gone, _empty, _binary, _huge, _long, _folder, _pipe, _loop, _outside, _zero, _nested),
    *(_wrong_shape, _other_key),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__.strip("_"))
def test_every_damage_to_every_file(tmp_path, folder, client, world, damage):
    """What remains is read, the rest has its sentence, and a reader neither hangs nor raises."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    for number, name in enumerate(files):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(folder, copy, symlinks=True)
        damage(copy / name)
        pieces, began = lines_of_keys(folder), time.monotonic()
        result = read_folder(copy, client, now=world.now)
        assert time.monotonic() - began < 5
        assert things(result) >= 1
        for one in result.unreadable:
            assert "which is a bug" not in one.reason
            assert one.path
            assert one.reason[-1] in ".)/" or one.reason[-1].isalnum()
        assert not [piece for piece in pieces if piece in repr(result)]
        shutil.rmtree(copy)


def test_a_key_of_another_certificate(folder, world, client):
    """Nothing is taken that does not belong together."""
    for path in folder.rglob("*"):
        if path.name in {"privkey1.pem", "shop.test.key"}:
            path.write_text(world.issue().key_pem)
    result = read_folder(folder, now=world.now)
    assert (result.certificates, len(result.accounts)) == ((), 1)
    assert "does not belong to the leaf" in result.unreadable[0].reason
    assert not result.unreadable[0].needless


def test_an_expired_certificate(tmp_path, world, client):
    """It is left out with the day on which it ended."""
    LAYOUTS[client](tmp_path / "old", world, world.issue(age=91))
    result = read_folder(tmp_path / "old", now=world.now)
    assert (result.certificates, len(result.accounts)) == ((), 1)
    assert ["expired on 2026-05-31" in one.reason and one.needless for one in result.unreadable] == [True]


def test_a_folder_behind_a_link_in_the_folder(tmp_path, world, client, folder):
    """A folder of a client that is a link elsewhere is not gone into, so nobody's other files are read."""
    for name in ("certificates", "accounts", "acme", "ca", "live", "archive", "shop.test_ecc"):
        if (folder / name).exists():
            (folder / name).rename(tmp_path / f"other-{name}")
            (folder / name).symlink_to(tmp_path / f"other-{name}")
    result = read_folder(folder, client, now=world.now)
    assert (result.certificates, result.accounts) == ((), ())


def test_links_that_lead_round_in_circles(folder, client, world):
    """Folders that contain themselves end nothing but themselves."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            (path / "again").symlink_to(folder)
    result = read_folder(folder, client, now=world.now)
    assert (len(result.certificates), len(result.accounts)) == (1, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read(folder, client, world, request):
    """Files and folders of somebody else have a sentence that says who may read them."""
    folder.chmod(0o755)
    closed = [path for path in folder.iterdir() if path.is_dir() and path.name not in {"renewal", "live"}]
    for path in closed:
        path.chmod(0o700)
    before = Path.cwd()
    request.addfinalizer(lambda: os.chdir(before))
    os.chdir(folder)
    os.seteuid(65534)
    try:
        result = read_folder(Path(), client, now=world.now)
    finally:
        os.seteuid(0)
    assert (result.certificates, result.accounts) == ((), ())
    assert result.unreadable
    assert all("Permission denied" in one.reason and "as the user" in one.reason for one in result.unreadable)


def test_a_socket_and_strange_names(folder, client, world, tmp_path):
    """Names that are no text, and names that would talk to a terminal, are shown without harm."""
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())):
        for name in (b"\xff\xfe.crt", b"\x1b[31mred.conf", b"a\nb.key", b"x" * 255):
            os.close(os.open(os.fsencode(place) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    server = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(folder)
    try:
        server.bind("s.crt")
    finally:
        os.chdir(before)
        server.close()
    result = read_folder(folder, client, now=world.now)
    assert len(result.certificates) == 1
    for one in result.unreadable:
        assert (one.path + one.reason).isprintable()
        assert "which is a bug" not in one.reason
        json.dumps([one.path, one.reason]).encode("ascii")


@pytest.mark.slow(reason="makes as many files as are looked at, and some more")
def test_more_than_is_looked_at(tmp_path, world):
    """A folder with very many entries is read in part, and that is said."""
    lego(tmp_path, world, world.issue())
    for number in range(MOST_ENTRIES + 5):
        (tmp_path / f"certificates/a{number:06}.pem").touch()
    result = read_folder(tmp_path, now=world.now)
    assert any("more than" in one.reason for one in result.unreadable)
    assert len(result.accounts) == 1


# -- which client -------------------------------------------------------------------------------------------------


def test_a_folder_of_nobody(tmp_path, world):
    """It is refused with the places where the clients' folders usually are."""
    (tmp_path / "photos").mkdir()
    with pytest.raises(InvalidInputError, match="not the data directory") as caught:
        read_folder(tmp_path, now=world.now)
    assert "/etc/letsencrypt" in caught.value.advice
    with pytest.raises(InvalidInputError, match="cannot be opened"):
        read_folder(tmp_path / "missing", now=world.now)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="cannot be opened"):
        read_folder(tmp_path / "file", now=world.now)
    with pytest.raises(InvalidInputError, match="cannot be opened"):
        read_folder(tmp_path / "a\0b", now=world.now)
    with pytest.raises(InvalidInputError, match="no client 'apache'"):
        read_folder(tmp_path, "apache", now=world.now)


@pytest.mark.parametrize("inside", ["letsencrypt", ".lego", ".local/share/caddy"])
def test_the_folder_around_a_clients_folder(tmp_path, world, inside):
    """For the parent of a client's folder, the error names the right folder."""
    {"letsencrypt": certbot, ".lego": lego}.get(inside, caddy)(tmp_path / inside, world, world.issue())
    with pytest.raises(InvalidInputError, match=re.escape(inside)) as caught:
        read_folder(tmp_path, now=world.now)
    assert str(tmp_path / inside) in caught.value.advice
    assert len(read_folder(tmp_path / inside, now=world.now).certificates) == 1


def test_a_folder_of_two_clients(tmp_path, world):
    """It is asked which one is meant; both can be read by name."""
    certbot(tmp_path, world, world.issue())
    acme_sh(tmp_path, world, world.issue())
    with pytest.raises(InvalidInputError, match=r"several clients: certbot, acme\.sh"):
        read_folder(tmp_path, now=world.now)
    for client in (Client.CERTBOT, "acme.sh"):
        assert len(read_folder(tmp_path, client, now=world.now).certificates) == 1


def test_a_folder_with_nothing_in_it(tmp_path, world, client):
    """By name it is read, and nothing is found."""
    result = read_folder(tmp_path, client, now=world.now)
    assert (result.client, things(result)) == (client, 0)


# -- directory URLs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "ftp://ca.test/", "https://", "https://ca.test:99999/", "https://user:password@ca.test/"),
        *("https://ca.test/\x1b[0m", "https://ca.test/ x", "https://[::1/", "https://ca.test/" + "x" * 600),
        *(None, 5, ["https://ca.test/"], {"a": 1}),
    ],
)
def test_what_is_no_directory_url(text):
    """It is passed over."""
    assert checked_url(text) == ""


def test_the_server_of_a_url():
    """Host and port, without the usual port."""
    assert server_of("https://CA.test:443/dir") == "ca.test"
    assert server_of("https://ca.test:1400/dir") == "ca.test:1400"
    assert server_of("nonsense") == ""


def test_what_caddy_calls_a_ca():
    """As seen in folders of Caddy 2.6."""
    assert caddy_key("https://127.0.0.1:14000/dir") == "127.0.0.1-14000-dir"
    assert caddy_key("https://acme.zerossl.com/v2/DV90") == "acme.zerossl.com-v2-dv90"


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_may_stand_where_a_url_is_expected(text):
    """No text is a reason to fail."""
    assert isinstance(server_of(checked_url(text)) + caddy_key(text), str)
    assert isinstance(server_of(checked_url(f"https://{text}")), str)


def test_a_reader_that_fails_in_a_way_that_nobody_thought_of():
    """The file has a sentence that asks for a report, and the next file is read."""
    (one,) = [attempt("live/shop.test", lambda: 1 // 0)]
    assert (one.path, one.needless) == ("live/shop.test", False)
    assert "ZeroDivisionError" in one.reason
    assert "report" in one.reason
