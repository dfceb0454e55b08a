"""acme.sh's folder: domains with and without ``_ecc``, its settings files, and accounts."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from certcore.adapters.takeover import Client, read_acme_sh, read_folder
from certcore.adapters.takeover.acme_sh import settings_of
from certcore.errors import InvalidInputError

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
ZEROSSL = "https://acme.zerossl.com/v2/DV90"
#: What `openssl ecparam -genkey` writes before the key.
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def wrapped(text):
    return f"__ACME_BASE64__START_{b64encode(text.encode()).decode()}__ACME_BASE64__END_"


def certificate(write, folder, issued, *, api=ZEROSSL, **settings):
    """What acme.sh leaves of one certificate."""
    domain = folder.removesuffix("_ecc")
    write(f"{folder}/{domain}.cer", issued.leaf)
    write(f"{folder}/ca.cer", issued.chain)
    write(f"{folder}/fullchain.cer", issued.leaf + issued.chain)
    key = issued.key_pem if not isinstance(issued.key, ec.EllipticCurvePrivateKey) else PARAMETERS + issued.key_pem
    write(f"{folder}/{domain}.key", key)
    write(f"{folder}/{domain}.csr.conf", "[ req_distinguished_name ]\n")
    known = {"Le_Domain": domain, "Le_Alt": "no", "Le_Webroot": "dns_cf", "Le_PreHook": "", "Le_API": api}
    known |= {"Le_Keylength": "ec-256", "Le_ReloadCmd": wrapped("systemctl reload nginx && echo 'done'")} | settings
    write(f"{folder}/{domain}.conf", "".join(f"{name}='{value}'\n" for name, value in known.items()))


def account(write, key, world, *, place="acme.zerossl.com/v2/DV90", url="https://acme.zerossl.com/v2/DV90/account/1"):
    """What acme.sh leaves of one account."""
    write(f"ca/{place}/account.key", PARAMETERS + world.pem(key))
    write(f"ca/{place}/account.json", {"status": "valid", "contact": ["mailto:me@shop.test"]})
    write(f"ca/{place}/ca.conf", f"ACCOUNT_URL='{url}'\nCA_EMAIL='me@shop.test'\nCA_KEY_HASH='x='\n")


def installed(write):
    """What acme.sh has besides."""
    write("account.conf", "\n#LOG_FILE=\"/root/.acme.sh/acme.sh.log\"\nUPGRADE_HASH='abc'\nUSER_PATH='/bin:/usr/bin'\n")
    write("acme.sh", "#!/usr/bin/env sh\n")
    write("dnsapi/dns_cf.sh", "#!/usr/bin/env sh\n")


def test_certificates_of_both_kinds_and_their_account(tmp_path, write, world):
    """RSA and EC for one domain are both in service; directory, account and e-mail come with them."""
    installed(write)
    first, second, key = world.issue(key=world.rsa_key), world.issue(), world.ec_key()
    certificate(write, "shop.test", first)
    certificate(write, "shop.test_ecc", second)
    account(write, key, world)
    result = read_acme_sh(tmp_path, now=world.now)
    assert [certificate.path for certificate in result.certificates] == [
        "shop.test/shop.test.cer",
        "shop.test_ecc/shop.test.cer",
    ]
    for one, issued in zip(result.certificates, (first, second), strict=True):
        assert (one.client, one.name, one.renews) == (Client.ACME_SH, "shop.test", True)
        assert (one.bundle.leaf_pem, one.bundle.chain_pem) == (issued.leaf, issued.chain)
        assert one.private_key.reveal_text() == issued.pkcs8
        assert (one.directory_url, one.email, one.account) == (ZEROSSL, "me@shop.test", "acme.zerossl.com/v2/DV90")
    (who,) = result.accounts
    assert (who.directory_url, who.emails) == (ZEROSSL, ("me@shop.test",))
    assert who.url == "https://acme.zerossl.com/v2/DV90/account/1"
    assert who.private_key.reveal_text() == world.pkcs8(key)
    assert result.unreadable == ()
    assert read_folder(tmp_path, now=world.now) == result


def test_a_wildcard(tmp_path, write, world):
    """Its folder has the star in its name."""
    certificate(write, "*.shop.test_ecc", world.issue("*.shop.test", "shop.test"), Le_Alt="shop.test")
    (one,) = read_acme_sh(tmp_path, now=world.now).certificates
    assert (one.name, one.names) == ("*.shop.test", ("*.shop.test", "shop.test"))


def test_a_directory_with_a_port(tmp_path, write, world):
    """acme.sh keeps no port in the account's path; a certificate of the same CA tells it."""
    certificate(write, "shop.test_ecc", world.issue(), api="https://127.0.0.1:14000/dir")
    account(write, world.ec_key(), world, place="127.0.0.1/dir", url="https://127.0.0.1:14000/my-account/1")
    result = read_acme_sh(tmp_path, now=world.now)
    assert [account.directory_url for account in result.accounts] == ["https://127.0.0.1:14000/dir"]
    assert [certificate.account for certificate in result.certificates] == ["127.0.0.1/dir"]


def test_accounts_of_old_versions(tmp_path, write, world):
    """Before version 3 there was the host alone, which is enough for a public CA."""
    installed(write)
    url = "https://acme-v02.api.letsencrypt.org/acme/acct/1"
    account(write, world.ec_key(), world, place="acme-v02.api.letsencrypt.org", url=url)
    (who,) = read_acme_sh(tmp_path, now=world.now).accounts
    assert (who.directory_url, who.url) == (LETSENCRYPT, url)


def test_what_acme_sh_does_not_renew(tmp_path, write, world):
    """After `acme.sh --remove` the certificate is there without its settings; the wish not to renew is kept."""
    certificate(write, "shop.test_ecc", world.issue())
    conf = tmp_path / "shop.test_ecc/shop.test.conf"
    conf.rename(conf.with_suffix(".conf.removed"))
    (one,) = read_acme_sh(tmp_path, now=world.now).certificates
    assert (one.name, one.renews, one.directory_url) == ("shop.test", False, "")


def test_what_is_broken_is_named(tmp_path, write, world):
    """Each broken part has its sentence, and the rest is read."""
    installed(write)
    for name in ("good.test", "binary.test", "nokey.test", "nocert.test", "two.test"):
        certificate(write, f"{name}_ecc", world.issue(name))
    write("binary.test_ecc/binary.test.conf", b"\xff\xfe\x00")
    (tmp_path / "nokey.test_ecc/nokey.test.key").unlink()
    (tmp_path / "nocert.test_ecc/nocert.test.cer").unlink()
    two = world.issue("a.test")
    write("two.test_ecc/two.test.cer", two.leaf + world.issue("b.test").leaf)
    account(write, world.ec_key(), world)
    write("ca/acme.zerossl.com/v2/DV90/account.json", '"text"')
    write("ca/ca.test/dir/account.key", world.pem(world.ec_key()))
    write("ca/ca.test/other/account.json", {})
    write("ca/ca.test/third/account.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    write("ca/ca.test/third/account.json", {"status": "valid"})
    result = read_acme_sh(tmp_path, now=world.now)
    reasons = {one.path: one.reason for one in result.unreadable}
    assert [certificate.name for certificate in result.certificates] == ["good.test"]
    assert "UTF-8" in reasons["binary.test_ecc/binary.test.cer"]
    assert "Its private key is missing" in reasons["nokey.test_ecc/nokey.test.cer"]
    assert "no certificate" in reasons["nocert.test_ecc"]
    assert "2 leaves" in reasons["two.test_ecc/two.test.cer"]
    assert result.accounts == ()
    assert "not a JSON object" in reasons["ca/acme.zerossl.com/v2/DV90"]
    assert "never registered" in reasons["ca/ca.test/dir"]
    assert "account.key, is missing" in reasons["ca/ca.test/other"]
    assert "not a private key" in reasons["ca/ca.test/third"]


def test_certificates_in_another_folder_are_told_of(tmp_path, write, world):
    """`--cert-home` puts them elsewhere; that folder can be read by itself."""
    write("account.conf", "CERT_HOME='/srv/certificates'\n")
    (left,) = read_acme_sh(tmp_path, now=world.now).unreadable
    assert "/srv/certificates" in left.reason
    write("certs/shop.test_ecc/shop.test.conf", "Le_Domain='shop.test'\n")
    assert read_folder(tmp_path / "certs", now=world.now).client is Client.ACME_SH


def test_a_folder_like_etc_is_none(tmp_path, write, world):
    """Where folders have settings or a key of their own name, but no certificate is meant, there is nothing."""
    write("fonts/fonts.conf", "<fontconfig/>\n")
    write("pam_ecc/pam.conf", "Le=1\n")
    write("binary/binary.conf", b"\xff\x00")
    write("bind/bind.key", "secret")
    with pytest.raises(InvalidInputError, match="is not the data directory"):
        read_folder(tmp_path, now=world.now)
    result = read_acme_sh(tmp_path, now=world.now)
    assert (result.certificates, result.accounts, result.unreadable) == ((), (), ())
    certificate(write, "shop.test_ecc", world.issue())
    (tmp_path / "shop.test_ecc/shop.test.cer").unlink()
    assert [one.path for one in read_folder(tmp_path, now=world.now).unreadable] == ["shop.test_ecc"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A='x'", "x"),
        ('A="x y"', "x y"),
        ("A=x", "x"),
        ("A=''", ""),
        ("A='it's'", "it's"),
        (f"A='{wrapped('a && b')}'", "a && b"),
        ("A='__ACME_BASE64__START_%%__ACME_BASE64__END_'", ""),
        ("A='__ACME_BASE64__START_/w==__ACME_BASE64__END_'", ""),
    ],
)
def test_the_forms_of_a_setting(line, value):
    """Quoted, unquoted, and wrapped in base64, also wrongly."""
    assert settings_of(f"# comment\n{line}\nnonsense\n") == {"A": value}


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text(st.characters(exclude_categories=["C", "Z"]))
    )
)
def test_settings_come_back(settings):
    """What acme.sh writes wrapped is read as it was, whatever it is."""
    assert settings_of("".join(f"{name}='{wrapped(value)}'\n" for name, value in settings.items())) == settings


@given(st.text())
def test_any_text_is_read(text):
    """No text is a reason to fail."""
    assert all(isinstance(value, str) for value in settings_of(text).values())
