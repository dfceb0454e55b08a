"""certbot's folder: lineages in service, their renewal settings, and accounts."""

import os
import shutil

import pytest

from certcore.adapters.takeover import Client, read_certbot, read_folder

SERVER = "https://acme-v02.api.letsencrypt.org/directory"
ACCOUNT = "0123456789abcdef0123456789abcdef"


def lineage(write, name, issued, *, number=1, server=SERVER, account=ACCOUNT, more=""):
    """What certbot leaves of one certificate."""
    files = {
        "cert": issued.leaf,
        "chain": issued.chain,
        "fullchain": issued.leaf + issued.chain,
        "privkey": issued.pkcs8,
    }
    for stem, content in files.items():
        archived = write(f"archive/{name}/{stem}{number}.pem", content)
        link = archived.parents[2] / "live" / name / f"{stem}.pem"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../archive/{name}/{stem}{number}.pem")
    write(
        f"renewal/{name}.conf",
        f"version = 2.1.0\narchive_dir = /etc/letsencrypt/archive/{name}\n"
        f"cert = /etc/letsencrypt/live/{name}/cert.pem\n"
        f"# Options used in the renewal process\n[renewalparams]\naccount = {account}\nserver = {server}\n"
        f"authenticator = webroot\n{more}[[webroot_map]]\n{name} = /var/www\nserver = https://elsewhere.test/dir\n",
    )
    write("live/README", "This directory contains your keys and certificates.\n")


def account(write, key, world, *, place="acme-v02.api.letsencrypt.org/directory", name=ACCOUNT, contact=()):
    """What certbot leaves of one account."""
    folder = f"accounts/{place}/{name}"
    write(f"{folder}/private_key.json", world.jwk(key))
    host = place.partition("/")[0]
    body = {"contact": list(contact)} if contact else {}
    write(f"{folder}/regr.json", {"body": body, "uri": f"https://{host}/acme/acct/1"})
    write(f"{folder}/meta.json", {"creation_dt": "2026-01-01T00:00:00Z", "creation_host": "web"})


def test_a_lineage_and_its_account(tmp_path, write, world):
    """Leaf, chain and key are those in service; server, account and e-mail come with them."""
    old, issued, key = world.issue("shop.test", age=60), world.issue("shop.test", "*.shop.test"), world.rsa_key
    lineage(write, "shop.test", old)
    lineage(write, "shop.test", issued, number=2)
    account(write, key, world, contact=["mailto:me@shop.test"])
    result = read_certbot(tmp_path, now=world.now)
    (one,) = result.certificates
    assert (one.client, one.path, one.name) == (Client.CERTBOT, "live/shop.test", "shop.test")
    assert (one.bundle.leaf_pem, one.bundle.chain_pem) == (issued.leaf, issued.chain)
    assert one.private_key.reveal_text() == issued.pkcs8
    assert one.names == ("shop.test", "*.shop.test")
    assert (one.directory_url, one.server) == (SERVER, "acme-v02.api.letsencrypt.org")
    assert (one.account, one.email, one.renews) == (ACCOUNT, "me@shop.test", True)
    (who,) = result.accounts
    assert (who.directory_url, who.url) == (SERVER, "https://acme-v02.api.letsencrypt.org/acme/acct/1")
    assert (who.reference, who.emails) == (ACCOUNT, ("me@shop.test",))
    assert who.private_key.reveal_text() == world.pkcs8(key)
    assert result.unreadable == ()
    assert read_folder(tmp_path, now=world.now) == result


@pytest.mark.parametrize("bits", ["P-256", "P-384"])
def test_an_account_key_on_a_curve(tmp_path, write, world, bits):
    """Newer accounts have EC keys."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = world.ec_key(ec.SECP256R1() if bits == "P-256" else ec.SECP384R1())
    account(write, key, world)
    (who,) = read_certbot(tmp_path, now=world.now).accounts
    assert who.private_key.reveal_text() == world.pkcs8(key)


def test_a_copy_in_which_links_have_become_files(tmp_path, write, world):
    """A folder that was copied with what its links lead to is read as well."""
    issued = world.issue()
    lineage(write, "shop.test", issued)
    shutil.copytree(tmp_path / "live", tmp_path / "flat")
    shutil.rmtree(tmp_path / "live")
    shutil.rmtree(tmp_path / "archive")
    (tmp_path / "flat").rename(tmp_path / "live")
    (one,) = read_certbot(tmp_path, now=world.now).certificates
    assert one.bundle.leaf_pem == issued.leaf


def test_accounts_of_another_directory(tmp_path, write, world):
    """Host, port and path of the directory are the path of the account."""
    account(write, world.ec_key(), world, place="127.0.0.1:14000/some/dir")
    (who,) = read_certbot(tmp_path, now=world.now).accounts
    assert (who.directory_url, who.server) == ("https://127.0.0.1:14000/some/dir", "127.0.0.1:14000")


def test_an_account_from_the_days_of_acme_1(tmp_path, write, world):
    """certbot links the new directory's accounts to the old one's; the account is found once, for the new directory."""
    account(write, world.ec_key(), world, place="acme-v01.api.letsencrypt.org/directory")
    (tmp_path / "accounts/acme-v02.api.letsencrypt.org").mkdir()
    link = tmp_path / "accounts/acme-v02.api.letsencrypt.org/directory"
    link.symlink_to("../acme-v01.api.letsencrypt.org/directory")
    result = read_certbot(tmp_path, now=world.now)
    assert [account.directory_url for account in result.accounts] == [SERVER]
    assert result.unreadable == ()


def test_what_certbot_does_not_renew(tmp_path, write, world):
    """Renewal switched off, or no renewal settings: the certificate comes along, and the wish too."""
    lineage(write, "off.test", world.issue("off.test"), more="autorenew = False\n")
    lineage(write, "gone.test", world.issue("gone.test"))
    (tmp_path / "renewal/gone.test.conf").unlink()
    lineage(write, "on.test", world.issue("on.test"))
    result = read_certbot(tmp_path, now=world.now)
    assert {certificate.name: certificate.renews for certificate in result.certificates} == {
        "off.test": False,
        "gone.test": False,
        "on.test": True,
    }
    assert {certificate.name: certificate.directory_url for certificate in result.certificates}["gone.test"] == ""


def test_several_lineages_for_the_same_names(tmp_path, write, world):
    """The newest is taken; one with another kind of key is taken besides."""
    lineage(write, "shop.test", world.issue("shop.test", "www.shop.test", age=50))
    lineage(write, "shop.test-0001", world.issue("www.shop.test", "shop.test", age=5))
    lineage(write, "shop.test-0002", world.issue("shop.test", "www.shop.test", age=20, key=world.rsa_key))
    result = read_certbot(tmp_path, now=world.now)
    assert [certificate.name for certificate in result.certificates] == ["shop.test-0001", "shop.test-0002"]
    (left,) = result.unreadable
    assert (left.path, left.needless) == ("live/shop.test", True)
    assert "live/shop.test-0001" in left.reason


def test_staging_is_left_out(tmp_path, write, world):
    """Certificates and accounts of a staging server are of no use, and that is said."""
    staging = "https://acme-staging-v02.api.letsencrypt.org/directory"
    lineage(write, "shop.test", world.issue(), server=staging)
    account(write, world.ec_key(), world, place="acme-staging-v02.api.letsencrypt.org/directory")
    result = read_certbot(tmp_path, now=world.now)
    assert (result.certificates, result.accounts) == ((), ())
    assert [("staging" in one.reason, one.needless) for one in result.unreadable] == [(True, True)] * 2


def test_an_expired_certificate_is_left_out(tmp_path, write, world):
    """Nothing is served with it any more; when it ended is said."""
    lineage(write, "shop.test", world.issue(age=100, days=90))
    result = read_certbot(tmp_path, now=world.now)
    assert result.certificates == ()
    (left,) = result.unreadable
    assert left.needless
    assert "expired on 2026-05-22" in left.reason


def test_links_out_of_the_folder_are_not_followed(tmp_path, write, world):
    """Neither a link of a lineage's file nor one of its folder, nor one from outside archive, leads anywhere."""
    outside = tmp_path / "outside.pem"
    root = tmp_path / "etc"
    issued = world.issue()
    for name in ("a.test", "b.test", "c.test"):
        lineage(lambda path, content: write(f"etc/{path}", content), name, world.issue(name))
    outside.write_text(issued.pkcs8)
    for name, target in (("a.test", "../../../outside.pem"), ("b.test", str(outside)), ("c.test", "../README")):
        link = root / "live" / name / "privkey.pem"
        link.unlink()
        link.symlink_to(target)
    (root / "live/d.test").symlink_to(tmp_path)
    result = read_certbot(root, now=world.now)
    assert result.certificates == ()
    reasons = {one.path: one.reason for one in result.unreadable}
    assert "outside of the directory" in reasons["live/a.test"]
    assert "outside of the directory" in reasons["live/b.test"]
    assert "archive" in reasons["live/c.test"]
    assert "a symbolic link, which is not followed" in reasons["live/d.test"]


def test_what_is_broken_is_named(tmp_path, write, world):
    """Each broken part has its sentence, and the rest is read."""
    for name in ("good.test", "empty.test", "binary.test", "nokey.test", "other.test", "nolive.test"):
        lineage(write, name, world.issue(name))
    write("renewal/empty.test.conf", "")
    write("renewal/binary.test.conf", os.urandom(500) + b"\xff\x00")
    (tmp_path / "archive/nokey.test/privkey1.pem").unlink()
    write("archive/other.test/privkey1.pem", world.issue().pkcs8)
    shutil.rmtree(tmp_path / "live/nolive.test")
    result = read_certbot(tmp_path, now=world.now)
    reasons = {one.path: one.reason for one in result.unreadable}
    assert sorted(certificate.name for certificate in result.certificates) == ["binary.test", "empty.test", "good.test"]
    assert "empty or damaged" in reasons["renewal/empty.test.conf"]
    assert "UTF-8" in reasons["renewal/binary.test.conf"]
    assert "archive/nokey.test/privkey1.pem is missing" in reasons["live/nokey.test"]
    assert "does not belong to the leaf" in reasons["live/other.test"]
    assert "no certificate" in reasons["renewal/nolive.test.conf"]
    assert not any(one.needless for one in result.unreadable)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("{}", "not the JWK"),
        ('{"kty": "RSA", "n": "AQAB"}', "not the JWK"),
        ('{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}', "not the JWK"),
        ('{"kty": "RSA", "n": 5, "e": [], "d": null, "p": {}, "q": 1, "dp": 1, "dq": 1, "qi": 1}', "not the JWK"),
        ('{"kty": {"a": 1}, "crv": []}', "not the JWK"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_an_account_key_that_is_none(tmp_path, write, world, key, sentence):
    """Whatever is in private_key.json instead of a key is reported in words."""
    account(write, world.ec_key(), world)
    write(f"accounts/acme-v02.api.letsencrypt.org/directory/{ACCOUNT}/private_key.json", key)
    result = read_certbot(tmp_path, now=world.now)
    assert result.accounts == ()
    assert sentence in result.unreadable[0].reason


def test_an_account_without_its_key(tmp_path, write, world):
    """A registration alone is of no use, and is not passed over in silence."""
    account(write, world.ec_key(), world)
    (tmp_path / f"accounts/acme-v02.api.letsencrypt.org/directory/{ACCOUNT}/private_key.json").unlink()
    (left,) = read_certbot(tmp_path, now=world.now).unreadable
    assert "private_key.json, is missing" in left.reason
