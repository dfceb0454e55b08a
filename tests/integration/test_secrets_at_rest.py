"""What somebody who reads the database, or the logs, learns of secrets: nothing; and what he changes is refused."""

import base64
import logging
import re

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from certcore.adapters.sql.tables import metadata, secrets
from certcore.errors import InvalidInputError, UnsealError
from certcore.model.secret import SecretName
from support.inside import inside

pytestmark = pytest.mark.pebble

EAB = base64.urlsafe_b64encode(b"the canary of the external account").decode().rstrip("=")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def panel(request, tmp_path, integration_panel, caplog, dns_port):
    """A panel on each database; everything is logged that any library has to say, from the start."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="sqlalchemy.engine")
    url = "" if request.param == "sqlite" else request.getfixturevalue(request.param).new_database()
    with integration_panel(tmp_path, url, dns_port) as panel:
        yield panel


def _secrets(panel):
    """Every secret that is stored, opened."""
    with inside(panel.core).storage.read() as transaction:
        found = transaction.secrets.sealed_otherwise("", limit=1000, after=None)
    # The keyring's check is no secret: it is a text that everybody may know.
    vault, names = inside(panel.core).vault, [one for one in found if one[0].purpose != "keyring-check"]
    return {name: vault.open(sealed, name).reveal() for name, sealed in names}


def _forms(secret):
    """How a secret could be written down; none so short that it is met by chance."""
    forms = {secret}
    if b"PRIVATE KEY" in secret:
        forms |= {line for line in secret.splitlines() if len(line) > 20 and b"-----" not in line}
        key = serialization.load_pem_private_key(secret, None)
        numbers = key.private_numbers()
        parts = [numbers.private_value] if hasattr(numbers, "private_value") else [numbers.d, numbers.p, numbers.q]
        raw = [part.to_bytes((part.bit_length() + 7) // 8) for part in parts]
        raw += [
            key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
            for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL)
        ]
        forms |= {str(part).encode() for part in parts}
    else:
        raw = [secret]
    for one in raw:
        forms |= {one, one.hex().encode(), one.hex().upper().encode()}
        forms |= {base64.b64encode(one).rstrip(b"="), base64.urlsafe_b64encode(one).rstrip(b"=")}
    assert min(map(len, forms)) >= 16
    return forms


def _dump(panel):
    """Every value of every table that there is, as bytes; with SQLite, the files themselves, too."""
    engine = sa.create_engine(panel.url)
    found = []
    try:
        with engine.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
            assert set(metadata.tables) <= set(tables)
            for table in tables:
                for row in connection.execute(sa.text(f"SELECT * FROM {table}")):
                    found += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    finally:
        engine.dispose()
    for path in panel.folder.glob("certcore.db*"):
        found.append(path.read_bytes())
    return b"\n".join(found)


def test_no_secret_can_be_read(panel, start_pebble, caplog):
    """After a life with all that can happen, no table and no log line at any level holds a secret, in any form."""
    core = panel.core
    pebble = start_pebble(eab={"kid-1": EAB})
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, eab_kid="kid-1", eab_hmac_key=EAB)
    with pytest.raises(InvalidInputError) as refused:
        core.authorities.edit(profile.id, settings={"eab_hmac_key": "not base64: canary!"}, version=profile.version)
    told = [str(refused.value), repr(profile)]
    known = {}
    for domain, key_type in (("shop.test", "ec-p256"), ("rsa.shop.test", "rsa-2048")):
        one = panel.request(profile, domain, key_type=key_type)
        core.reconcile(one)  # the owner has set nothing yet
        panel.set_cnames(one)
        panel.until_active(one)
        core.certificates.renew(one)
        known |= _secrets(panel)
        panel.drive(one, lambda _, one=one: panel.issuance(one).outcome is not None)
    core.sealing_keys.make_current(core.sealing_keys.add())
    core.sealing_keys.rewrap()
    known |= _secrets(panel)
    told += [repr(core.certificates.export(one, reason="test")), repr(core.certificates.view(one))]
    told += [repr(event) for event in core.certificates.timeline(one)]
    core.certificates.delete(one)
    logged = "\n".join(record.getMessage() + str(record.exc_text or "") for record in caplog.records)

    purposes = {name.purpose for name in known}
    assert {"certificate-key", "authority-setting", "module-secret"} <= purposes
    assert len(known) >= 6  # two keys each for two certificates, the account's, and the EAB key
    assert "INSERT INTO certcore_secrets" in logged  # it is a log that holds everything
    dump = _dump(panel)
    assert b"kid-1" in dump  # the dump holds what is no secret
    for name, secret in known.items():
        for form in _forms(secret):
            assert form not in dump, f"{name} is in the database"
            assert form.decode("latin-1") not in logged, f"{name} was logged"
            assert form.decode("latin-1") not in "".join(told), f"{name} was told"
    assert b"PRIVATE KEY" not in dump
    assert "PRIVATE KEY" not in logged + "".join(told)
    for key in re.findall(r'"(k-[^"]+)": "([^"]+)"', panel.keyring.read_text()):
        assert key[1].encode() not in dump
        assert key[1] not in logged


def test_a_changed_or_moved_secret_is_refused_by_name(panel):
    """One bit of a stored secret, or its place, is changed: the error says which secret, and nothing is opened."""
    profile = panel.profile("https://127.0.0.1:9/dir")
    first, second = (panel.request(profile, domain) for domain in ("one.test", "two.test"))
    names = {one: panel.issuance(one).key_name for one in (first, second)}
    core = panel.core
    good = {one: core.certificates.private_key(one, reason="test").reveal() for one in (first, second)}
    engine = sa.create_engine(panel.url)

    def where(name):
        return sa.and_(secrets.c.purpose == name.purpose, secrets.c.owner_id == name.owner_id)

    def stored(one):
        with engine.connect() as connection:
            return connection.execute(sa.select(secrets).where(where(names[one]))).mappings().one()

    def put(one, values):
        with engine.begin() as connection:
            connection.execute(secrets.update().where(where(names[one])).values(**values))

    def refused(one):
        with pytest.raises(UnsealError) as error:
            core.certificates.private_key(one, reason="test")
        assert str(names[one]) in str(error.value)
        assert good[one].splitlines()[1].decode() not in str(error.value)

    whole = stored(first)
    columns = ("wrapped_key", "nonce", "ciphertext")

    @settings(max_examples=30)
    @given(st.sampled_from(columns), st.integers(0, 10**6))
    def one_bit(column, at):
        changed = bytearray(whole[column])
        changed[at // 8 % len(changed)] ^= 1 << at % 8
        put(first, {column: bytes(changed)})
        refused(first)

    try:
        one_bit()
        other = {column: stored(second)[column] for column in columns}
        put(first, other)
        refused(first)
        put(first, {column: whole[column] for column in columns})
        for column in columns:  # a part of one in the place of another's
            put(first, {column: other[column]})
            refused(first)
            put(first, {column: whole[column]})
        put(first, {"ciphertext": whole["ciphertext"][:-1]})
        refused(first)
        put(first, {column: whole[column] for column in columns})
        for one, key in good.items():
            assert core.certificates.private_key(one, reason="test").reveal() == key
    finally:
        engine.dispose()
    elsewhere = SecretName(names[first].purpose, "elsewhere")
    with inside(core).storage.read() as transaction:
        sealed = transaction.secrets.get(names[first])
    with pytest.raises(UnsealError, match="elsewhere"):
        inside(core).vault.open(sealed, elsewhere)
