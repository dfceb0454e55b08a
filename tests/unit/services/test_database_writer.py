"""Who may write to the database, and does not hold the keyring, gets no private key out through somebody's own page."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from attrs import define
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore import NoticePolicy, RenewalPolicy
from certcore.errors import CertCoreError, SealingError, StoredKeyMismatchError, UnsealError
from certcore.model.secret import CERTIFICATE_KEY, SealedSecret, SecretName
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import csr_spki_sha256
from support.cores import core_on
from support.inside import inside

#: Without steps of their own for notices.
QUIET = NoticePolicy(days_before=())


@define(eq=False)
class Stand:
    """A panel on a database file, a certificate of anna's, two of mallory's, and a writer beside it."""

    core: object
    environment: FrozenEnvironment
    path: str
    anna: str
    mallory: str
    second: str

    def issuance(self, certificate_id):
        return self.core.certificates.get(certificate_id).active_issuance_id

    def write(self, statement):
        """Run statements with the ids in the place of names."""
        ids = {"anna": self.anna, "mallory": self.mallory, "second": self.second}
        ids |= {f"{name}_issuance": self.issuance(one) for name, one in ids.items()}
        with closing(sqlite3.connect(self.path)) as connection:
            for each in statement.split(";"):
                assert connection.execute(each.format(**ids)).rowcount > 0
            connection.commit()

    def secrets(self, purpose):
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute("SELECT owner_id FROM certcore_secrets WHERE purpose = ?", (purpose,))
            return [owner_id for (owner_id,) in rows]

    def revealed(self, certificate_id):
        return [event for event in self.core.certificates.timeline(certificate_id) if event.kind == "key_revealed"]


@pytest.fixture
def stand(tmp_path):
    environment = FrozenEnvironment()
    ca = ScriptedCA((Act.ISSUE,), now=environment.now())
    with core_on("sqlite", tmp_path, plugins=[ca.plugin()], environment=environment, notices=QUIET) as core:
        authority = core.authorities.create("test", module="scripted", settings={"api_key": "canary-api-key"}).id
        inside(core).contexts.documents(ca).seal("account/key", b"canary-account-key")
        ids = []
        policy = RenewalPolicy(rotate_key=False)
        for name, owner in (("bank.test", "anna"), ("m.test", "mallory"), ("n.test", "mallory")):
            certificate_id = core.certificates.create(name, authority=authority, owner=owner, renewal=policy).id
            core.certificates.generate_csr(certificate_id)
            core.reconcile(certificate_id)
            ids.append(certificate_id)
        yield Stand(core, environment, str(tmp_path / "certcore.db"), *ids)


#: What a writer makes of mallory's rows so that mallory's page opens something else.
REDIRECTIONS = {
    "the key of another tenant": (
        "UPDATE certcore_issuances SET key_owner_id = '{anna_issuance}' WHERE id = '{mallory_issuance}'"
    ),
    "the key of another tenant with its leaf": (
        "UPDATE certcore_issuances SET key_owner_id = '{anna_issuance}', leaf_pem = (SELECT leaf_pem FROM "
        "certcore_issuances WHERE id = '{anna_issuance}') WHERE id = '{mallory_issuance}'"
    ),
    "another tenant's issuance": (
        "UPDATE certcore_issuances SET certificate_id = '{mallory}', number = 9 WHERE id = '{anna_issuance}'; "
        "UPDATE certcore_certificates SET active_issuance_id = '{anna_issuance}' WHERE id = '{mallory}'"
    ),
    "another tenant's issuance, named only": (
        "UPDATE certcore_certificates SET active_issuance_id = '{anna_issuance}' WHERE id = '{mallory}'"
    ),
    "another tenant's issuance as the one before": (
        "UPDATE certcore_issuances SET certificate_id = '{mallory}', number = 9 WHERE id = '{anna_issuance}'; "
        "UPDATE certcore_issuances SET key_owner_id = '{anna_issuance}' WHERE id = '{mallory_issuance}'"
    ),
    "the sealed key of another tenant": (
        "DELETE FROM certcore_secrets WHERE owner_id = '{mallory_issuance}'; INSERT INTO certcore_secrets SELECT "
        "purpose, '{mallory_issuance}', key_id, wrapped_key, nonce, ciphertext, format FROM certcore_secrets WHERE "
        "owner_id = '{anna_issuance}'"
    ),
    "another format": "UPDATE certcore_secrets SET format = 1 WHERE owner_id = '{mallory_issuance}'",
    "a format that there is not": "UPDATE certcore_secrets SET format = 3 WHERE owner_id = '{mallory_issuance}'",
    "the key of another certificate of one's own": (
        "UPDATE certcore_issuances SET key_owner_id = '{second_issuance}' WHERE id = '{mallory_issuance}'"
    ),
    "another leaf": (
        "UPDATE certcore_issuances SET leaf_pem = (SELECT leaf_pem FROM certcore_issuances WHERE id = "
        "'{anna_issuance}') WHERE id = '{mallory_issuance}'"
    ),
}
#: What a user of the page then does with the key.
USES = {
    "reveal": lambda stand: stand.core.certificates.private_key(stand.mallory, reason="r"),
    "export": lambda stand: stand.core.certificates.export(stand.mallory, reason="r"),
    "export of files": lambda stand: stand.core.certificates.export(stand.mallory, "pem", reason="r"),
    "renew": lambda stand: stand.core.certificates.renew(stand.mallory),
    "reissue": lambda stand: stand.core.certificates.reissue(stand.mallory, keep_key=True),
}


@pytest.mark.parametrize("redirection", REDIRECTIONS)
def test_a_row_that_points_elsewhere_is_refused(stand, redirection):
    """Nothing is taken out, used again or noted as taken out; the error does not say what was there."""
    certificates = stand.core.certificates
    stand.write(REDIRECTIONS[redirection])
    for use, call in USES.items():
        if use in ("renew", "reissue") and redirection.endswith("named only"):
            call(stand)  # with a new key: none of this certificate's issuances has the one that is named
            request = certificates.view(stand.mallory).issuance.csr_pem
            assert csr_spki_sha256(request) != certificates.view(stand.anna).leaf.spki_sha256
            continue
        with pytest.raises(SealingError) as refused:
            call(stand)
        assert "PRIVATE KEY" not in str(refused.value)
    assert stand.revealed(stand.mallory) == []
    assert len(certificates.issuances(stand.second)) == 1


@pytest.mark.parametrize("purpose", ["authority-setting", "module-secret", "keyring-check"])
def test_a_secret_of_another_kind_is_not_a_private_key(stand, purpose):
    """The API key of a CA profile, the key of its account and whatever else is sealed does not open on a page."""
    (name,) = stand.secrets(purpose)
    stand.write(f"UPDATE certcore_issuances SET key_purpose = '{purpose}', key_owner_id = '{name}'")
    for use in ("reveal", "export", "export of files"):
        with pytest.raises(CertCoreError) as refused:
            USES[use](stand)
        assert "canary" not in str(refused.value)
    assert stand.revealed(stand.mallory) == []


def test_a_certificate_given_to_another_tenant_takes_no_key_along(stand):
    """The key was sealed for its owner: with another one in the row it does not open."""
    stand.write("UPDATE certcore_certificates SET owner = 'mallory' WHERE id = '{anna}'")
    with pytest.raises(UnsealError):
        stand.core.certificates.private_key(stand.anna, reason="r", actor="mallory")


def test_a_renewal_does_not_take_over_a_key_that_is_not_its_own(stand):
    """The engine keeps no other tenant's key either; while there is time it says so, and then makes a new one."""
    stand.write(REDIRECTIONS["the key of another tenant"])
    core, one = stand.core, stand.mallory
    stand.environment.set(core.certificates.view(one).renews_at + timedelta(minutes=1))
    for _ in range(3):
        core.reconcile(one)
    assert core.certificates.get(one).problem.type == "urn:certcore:stored-key-mismatch"
    assert len(core.certificates.issuances(one)) == 1
    stand.environment.set(core.certificates.get(one).not_after - timedelta(hours=1))
    for _ in range(4):
        core.reconcile(one)
    assert len(core.certificates.issuances(one)) == 2
    assert core.certificates.view(one).leaf.spki_sha256 != core.certificates.view(stand.anna).leaf.spki_sha256


def test_deleting_a_certificate_deletes_no_other_secret(stand):
    """Also where its row points at one."""
    (account,) = stand.secrets("module-secret")
    stand.write(REDIRECTIONS["the key of another tenant"])
    gone = stand.issuance(stand.mallory)
    stand.core.certificates.delete(stand.mallory)
    assert stand.issuance(stand.anna) in stand.secrets(CERTIFICATE_KEY)
    assert gone not in stand.secrets(CERTIFICATE_KEY)
    assert stand.secrets("module-secret") == [account]


def _sealed_as_before(core, name, plain):
    """As versions before the owner was bound wrote it: AES-256-GCM, bound to the purpose and the id."""
    parts = [name.purpose.encode(), name.owner_id.encode()]
    bound = b"certcore-sealed-1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    data_key, nonce = bytes(range(32)), bytes(range(12))
    key_id, wrapped = inside(core).vault.keyring.wrap(data_key, bound_to=bound)
    ciphertext = AESGCM(data_key).encrypt(nonce, plain, bound)
    return SealedSecret(key_id=key_id, wrapped_key=wrapped, nonce=nonce, ciphertext=ciphertext)


def test_secrets_of_older_versions_open(stand):
    """They are exported, kept at renewals and re-wrapped as before; what is sealed anew is bound to its owner."""
    core, one = stand.core, stand.anna
    name = SecretName(CERTIFICATE_KEY, stand.issuance(one))
    plain = core.certificates.private_key(one, reason="r").reveal()
    with inside(core).storage.write() as transaction:
        transaction.secrets.put(name, _sealed_as_before(core, name, plain))
    assert core.certificates.export(one, reason="r").private_key.reveal() == plain
    core.sealing_keys.make_current(core.sealing_keys.add())
    while core.sealing_keys.rewrap().left:
        pass
    with inside(core).storage.read() as transaction:
        rewrapped = transaction.secrets.get(name)
    assert (rewrapped.format, rewrapped.key_id) == (1, inside(core).vault.keyring.current_key_id)
    core.certificates.renew(one)
    core.reconcile(one)
    assert core.certificates.export(one, reason="r").private_key.reveal() == plain
    core.certificates.reissue(one)
    core.reconcile(one)
    fresh = core.certificates.export(one, reason="r").private_key.reveal()
    assert fresh != plain
    with inside(core).storage.read() as transaction:
        assert transaction.secrets.get(SecretName(CERTIFICATE_KEY, stand.issuance(one))).format == 2


def test_an_old_secret_is_not_opened_for_another_certificate(stand):
    """It is not bound to an owner: that it belongs to the certificate, and fits the leaf, is looked at all the same."""
    core = stand.core
    name = SecretName(CERTIFICATE_KEY, stand.issuance(stand.anna))
    plain = core.certificates.private_key(stand.anna, reason="r").reveal()
    with inside(core).storage.write() as transaction:
        transaction.secrets.put(name, _sealed_as_before(core, name, plain))
    stand.write(REDIRECTIONS["the key of another tenant with its leaf"])
    with pytest.raises(StoredKeyMismatchError):
        core.certificates.private_key(stand.mallory, reason="r")
