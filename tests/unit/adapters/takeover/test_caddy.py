"""Caddy's data folder, of older and newer versions."""

import pytest

from certcore.adapters.takeover import Client, read_caddy, read_folder

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
KEY = "acme-v02.api.letsencrypt.org-directory"


def certificate(write, site, issued, *, issuer=KEY, data=None, **document):
    """What Caddy leaves of one certificate."""
    folder = f"certificates/{issuer}/{site}/{site}"
    write(f"{folder}.crt", issued.leaf + issued.chain)
    write(f"{folder}.key", issued.key_pem)
    known = {"sans": [site.replace("wildcard_", "*")], "issuer_data": data or {"url": "https://ca.test/cert/1"}}
    write(f"{folder}.json", known | document)


def account(write, key, world, *, issuer=KEY, email="me@shop.test", location="https://ca.test:1400/acct/1", **document):
    """What Caddy leaves of one account."""
    folder = f"acme/{issuer}/users/{email or 'default'}/{email.partition('@')[0] or 'default'}"
    write(f"{folder}.key", world.pem(key))
    contact = [f"mailto:{email}"] if email else None
    known = {"status": "valid", "contact": contact, "termsOfServiceAgreed": True, "location": location}
    write(f"{folder}.json", known | document)


def test_a_certificate_and_its_account(tmp_path, write, world):
    """The directory of a public CA is known from the name of the folder."""
    issued, key = world.issue("*.shop.test"), world.ec_key()
    certificate(write, "wildcard_.shop.test", issued)
    account(write, key, world)
    result = read_caddy(tmp_path, now=world.now)
    (one,) = result.certificates
    assert (one.client, one.name) == (Client.CADDY, "*.shop.test")
    assert one.path == f"certificates/{KEY}/wildcard_.shop.test/wildcard_.shop.test.crt"
    assert (one.bundle.leaf_pem, one.bundle.chain_pem) == (issued.leaf, issued.chain)
    assert one.private_key.reveal_text() == issued.pkcs8
    (who,) = result.accounts
    assert (one.directory_url, one.email, one.account) == (LETSENCRYPT, "me@shop.test", who.reference)
    assert (who.directory_url, who.url, who.emails) == (LETSENCRYPT, "https://ca.test:1400/acct/1", ("me@shop.test",))
    assert who.private_key.reveal_text() == world.pkcs8(key)
    assert result.unreadable == ()
    assert read_folder(tmp_path, now=world.now) == result


def test_another_ca_whose_directory_stands_beside_the_certificate(tmp_path, write, world):
    """Newer versions write the directory down; the account of the same folder is for it, too."""
    directory = "https://ca.test:1400/Acme/v2/DV"
    data = {"url": "https://ca.test:1400/cert/1", "ca": directory, "account": "https://ca.test:1400/acct/2"}
    certificate(write, "shop.test", world.issue(), issuer="ca.test-1400-acme-v2-dv", data=data)
    account(write, world.ec_key(), world, issuer="ca.test-1400-acme-v2-dv")
    url = "https://ca.test:1400/acct/2"
    account(write, world.ec_key(), world, issuer="ca.test-1400-acme-v2-dv", email="", location=url)
    result = read_caddy(tmp_path, now=world.now)
    assert {one.directory_url for one in (*result.certificates, *result.accounts)} == {directory}
    (default,) = (account for account in result.accounts if account.url == url)
    assert result.certificates[0].account == default.reference
    assert default.emails == ()


def test_another_ca_whose_directory_stands_nowhere(tmp_path, write, world):
    """The host is known from the certificate's or the account's URL."""
    certificate(write, "shop.test", world.issue(), issuer="ca.test-1400-dir", data={"url": "https://ca.test:1400/c/1"})
    account(write, world.ec_key(), world, issuer="ca.test-1400-dir")
    result = read_caddy(tmp_path, now=world.now)
    assert [(certificate.directory_url, certificate.server) for certificate in result.certificates] == [
        ("", "ca.test:1400")
    ]
    assert [(account.directory_url, account.server) for account in result.accounts] == [("", "ca.test:1400")]


def test_the_same_names_from_two_cas(tmp_path, write, world):
    """Caddy serves the newer one; so it is the one that is taken."""
    certificate(write, "shop.test", world.issue(age=3))
    certificate(write, "shop.test", world.issue(age=30), issuer="acme.zerossl.com-v2-dv90")
    result = read_caddy(tmp_path, now=world.now)
    assert [certificate.directory_url for certificate in result.certificates] == [LETSENCRYPT]
    assert [one.needless for one in result.unreadable] == [True]


def test_certificates_of_its_own_ca(tmp_path, write, world):
    """They are for inside use, and are left to Caddy."""
    certificate(write, "inside.test", world.issue("inside.test", days=1), issuer="local")
    certificate(write, "shop.test", world.issue())
    result = read_caddy(tmp_path, now=world.now)
    assert [certificate.name for certificate in result.certificates] == ["shop.test"]
    (left,) = result.unreadable
    assert (left.path, left.needless) == ("certificates/local", True)


def test_an_account_from_before_2020(tmp_path, write, world):
    """The first versions had another form."""
    old = {"Email": "me@shop.test", "Registration": {"body": {"status": "valid"}, "uri": "https://ca.test/acct/9"}}
    write(f"acme/{KEY}/users/me@shop.test/me.json", old)
    write(f"acme/{KEY}/users/me@shop.test/me.key", world.pem(world.ec_key()))
    (who,) = read_caddy(tmp_path, now=world.now).accounts
    assert (who.url, who.emails) == ("https://ca.test/acct/9", ("me@shop.test",))


@pytest.mark.parametrize(
    "document", [{"sans": 5, "issuer_data": []}, {"sans": [7], "issuer_data": {"ca": {}, "url": 1}}]
)
def test_metadata_of_wrong_shapes(tmp_path, write, world, document):
    """The certificate counts; what is said beside it is passed over where it makes no sense."""
    certificate(write, "shop.test", world.issue(), issuer="ca.test", **document)
    result = read_caddy(tmp_path, now=world.now)
    assert [(certificate.name, certificate.server) for certificate in result.certificates] == [("shop.test", "")]


def test_what_is_broken_is_named(tmp_path, write, world):
    """Each broken part has its sentence, and the rest is read."""
    for site in ("good.test", "json.test", "nokey.test", "nocert.test"):
        certificate(write, site, world.issue(site))
    write(f"certificates/{KEY}/json.test/json.test.json", "{")
    (tmp_path / f"certificates/{KEY}/nokey.test/nokey.test.key").unlink()
    (tmp_path / f"certificates/{KEY}/nocert.test/nocert.test.crt").unlink()
    account(write, world.ec_key(), world, email="nokey@shop.test")
    (tmp_path / f"acme/{KEY}/users/nokey@shop.test/nokey.key").unlink()
    account(write, world.ec_key(), world, email="closed@shop.test", status="deactivated")
    result = read_caddy(tmp_path, now=world.now)
    reasons = {one.path.rpartition("/")[2]: one.reason for one in result.unreadable}
    assert [certificate.name for certificate in result.certificates] == ["good.test"]
    assert "not JSON" in reasons["json.test"]
    assert "missing" in reasons["nokey.test"]
    assert "missing" in reasons["nocert.test"]
    assert "missing" in reasons["nokey@shop.test"]
    assert "deactivated" in reasons["closed@shop.test"]
