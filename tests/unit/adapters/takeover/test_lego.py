"""lego's folder, as its versions lay it out."""

import pytest

from certcore.adapters.takeover import Client, read_folder, read_lego

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


def certificate(write, stem, issued, *, host="acme-v02.api.letsencrypt.org", bundle=True, **document):
    """What lego leaves of one certificate."""
    write(f"certificates/{stem}.crt", issued.leaf + (issued.chain if bundle else ""))
    write(f"certificates/{stem}.issuer.crt", issued.chain)
    write(f"certificates/{stem}.key", issued.key_pem)
    url = f"https://{host}/acme/cert/1"
    known = {"domain": stem.replace("_.", "*."), "certUrl": url, "certStableUrl": url}
    write(f"certificates/{stem}.json", known | document)


def account(write, key, world, *, host="acme-v02.api.letsencrypt.org", email="me@shop.test", status="valid"):
    """What lego leaves of one account, up to version 4."""
    body = {"status": status, "contact": [f"mailto:{email}"]}
    registration = {"body": body, "uri": f"https://{host}/acme/acct/1"}
    folder = f"accounts/{host.replace(':', '_')}/{email}"
    write(f"{folder}/account.json", {"email": email, "registration": registration})
    write(f"{folder}/keys/{email}.key", world.pem(key))


@pytest.mark.parametrize("bundle", [True, False])
def test_a_certificate_and_its_account(tmp_path, write, world, bundle):
    """The directory is known from the CA's host; the one account there is the certificate's."""
    issued, key = world.issue("*.shop.test", "shop.test"), world.ec_key()
    certificate(write, "_.shop.test", issued, bundle=bundle)
    account(write, key, world)
    result = read_lego(tmp_path, now=world.now)
    (one,) = result.certificates
    assert (one.client, one.path, one.name) == (Client.LEGO, "certificates/_.shop.test.crt", "*.shop.test")
    assert (one.bundle.leaf_pem, one.bundle.chain_pem) == (issued.leaf, issued.chain)
    assert one.private_key.reveal_text() == issued.pkcs8
    (who,) = result.accounts
    assert (one.directory_url, one.email, one.account) == (LETSENCRYPT, "me@shop.test", who.reference)
    assert (who.directory_url, who.emails) == (LETSENCRYPT, ("me@shop.test",))
    assert who.url == "https://acme-v02.api.letsencrypt.org/acme/acct/1"
    assert who.private_key.reveal_text() == world.pkcs8(key)
    assert result.unreadable == ()
    assert read_folder(tmp_path, now=world.now) == result


def test_the_layout_of_version_5(tmp_path, write, world):
    """The account lies in a folder for its kind of key, and its URL has another name."""
    issued, key = world.issue("shop.test", key=world.rsa_key), world.rsa_key
    certificate(write, "shop.test", issued)
    write("certificates/shop.test.json", {"id": "shop", "domains": ["shop.test"], "keyType": "RSA2048", "certUrl": ""})
    registration = {"status": "valid", "contact": ["mailto:me@shop.test"], "accountURL": "https://ca.test:1400/acct/7"}
    known = {"id": "mine", "email": "me@shop.test", "keyType": "RSA2048", "registration": registration}
    write("accounts/ca.test_1400/mine/RSA2048/account.json", known)
    write("accounts/ca.test_1400/mine/RSA2048/mine.key", world.pem(key))
    result = read_lego(tmp_path, now=world.now)
    (who,) = result.accounts
    assert (who.server, who.url, who.directory_url) == ("ca.test:1400", "https://ca.test:1400/acct/7", "")
    assert who.private_key.reveal_text() == world.pkcs8(key)
    (one,) = result.certificates
    assert (one.name, one.server, one.account) == ("shop", "ca.test:1400", "ca.test_1400/mine/RSA2048")


def test_a_host_of_which_no_directory_is_known(tmp_path, write, world):
    """Host and port are kept, so that a CA profile can be found by them."""
    certificate(write, "shop.test", world.issue(), host="127.0.0.1:14000")
    account(write, world.ec_key(), world, host="127.0.0.1:14000")
    result = read_lego(tmp_path, now=world.now)
    assert [(certificate.directory_url, certificate.server) for certificate in result.certificates] == [
        ("", "127.0.0.1:14000")
    ]
    assert [(account.directory_url, account.server) for account in result.accounts] == [("", "127.0.0.1:14000")]


def test_two_accounts_at_one_ca(tmp_path, write, world):
    """Which of them a certificate came from is written down nowhere, so none is named."""
    certificate(write, "shop.test", world.issue())
    account(write, world.ec_key(), world)
    account(write, world.ec_key(), world, email="you@shop.test")
    result = read_lego(tmp_path, now=world.now)
    assert len(result.accounts) == 2
    assert (result.certificates[0].account, result.certificates[0].email) == ("", "")


def test_what_is_broken_is_named(tmp_path, write, world):
    """Each broken part has its sentence, and the rest is read."""
    for stem in ("good.test", "json.test", "nokey.test", "nocert.test", "other.test"):
        certificate(write, stem, world.issue(stem))
    write("certificates/json.test.json", "[1]")
    (tmp_path / "certificates/nokey.test.key").unlink()
    (tmp_path / "certificates/nocert.test.crt").unlink()
    write("certificates/other.test.key", world.issue().key_pem)
    account(write, world.ec_key(), world, email="closed@shop.test", status="deactivated")
    account(write, world.ec_key(), world, email="nokey@shop.test")
    (tmp_path / "accounts/acme-v02.api.letsencrypt.org/nokey@shop.test/keys/nokey@shop.test.key").unlink()
    account(write, world.ec_key(), world, email="shape@shop.test")
    odd = {"email": ["a"], "registration": [{"uri": 7}]}
    write("accounts/acme-v02.api.letsencrypt.org/shape@shop.test/account.json", odd)
    result = read_lego(tmp_path, now=world.now)
    reasons = {one.path.rpartition("/")[2]: one.reason for one in result.unreadable}
    assert [certificate.name for certificate in result.certificates] == ["good.test"]
    assert "not a JSON object" in reasons["json.test.crt"]
    assert "Its private key is missing" in reasons["nokey.test.crt"]
    assert "no certificate" in reasons["nocert.test.json"]
    assert "does not belong to the leaf" in reasons["other.test.crt"]
    assert "deactivated" in reasons["closed@shop.test"]
    assert "missing" in reasons["nokey@shop.test"]
    (who,) = result.accounts
    assert (who.url, who.emails, who.directory_url) == ("", (), LETSENCRYPT)


def test_staging_is_left_out(tmp_path, write, world):
    """A certificate whose URL is a staging server's is of no use."""
    certificate(write, "shop.test", world.issue(), host="acme-staging-v02.api.letsencrypt.org")
    account(write, world.ec_key(), world, host="acme-staging-v02.api.letsencrypt.org")
    result = read_lego(tmp_path, now=world.now)
    assert (result.certificates, result.accounts) == ((), ())
    assert [one.needless for one in result.unreadable] == [True, True]
