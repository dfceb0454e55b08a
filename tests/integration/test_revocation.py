"""Revocation at a real ACME server: by the account, by the key, twice, and after the account is gone."""

import json

import pytest
from attrs import evolve

from certcore import Status
from certcore.errors import CAError, CertCoreError
from certcore.model.revocation import RevocationReason
from support.inside import inside
from support.leaves import bought

pytestmark = pytest.mark.pebble


@pytest.fixture
def issued(panel, start_pebble):
    """A Pebble, and a certificate that it issued; its id."""
    pebble = start_pebble()
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test")
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    return pebble, certificate_id


def _serial(panel, certificate_id):
    return panel.core.certificates.view(certificate_id).leaf.serial_hex


def test_the_account_revokes_what_it_issued(panel, issued):
    """The CA has it as revoked, with the reason; a new one comes with a new key, and the old one stays revoked."""
    pebble, one = issued
    serial = _serial(panel, one)
    assert pebble.certificate_status(serial)["Status"] == "Valid"
    assert panel.core.certificates.revoke(one, reason="key_compromise").status is Status.REVOKED
    assert (pebble.certificate_status(serial)["Status"], pebble.certificate_status(serial)["Reason"]) == ("Revoked", 1)
    panel.core.certificates.renew(one)
    panel.until_active(one)
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Valid"
    assert _serial(panel, one) != serial


def test_a_revocation_that_was_not_stored_is_repeated(panel, issued):
    """The process died between the CA's answer and our commit: "already revoked" counts as success."""
    pebble, one = issued
    module = inside(panel.core).plugins.module("puq_acme")
    view = panel.core.certificates.view(one)
    _, context = inside(panel.core).contexts.context(view.authority)
    module.revoke(view.active, RevocationReason.SUPERSEDED, lambda: None, context)
    assert panel.core.certificates.get(one).status is Status.ACTIVE
    assert panel.core.certificates.revoke(one, reason="superseded").status is Status.REVOKED
    assert pebble.certificate_status(_serial(panel, one))["Reason"] == 4


def test_the_key_revokes_when_the_account_is_another_one(panel, issued):
    """The profile's account key was lost: the certificate's own key is proof enough."""
    pebble, one = issued
    _lose_account(panel)
    assert panel.core.certificates.revoke(one).status is Status.REVOKED
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Revoked"


def test_without_account_and_key_it_is_refused_in_words(panel, issued):
    """The certificate stays active, and the error says what is missing and what to do."""
    pebble, one = issued
    _lose_account(panel)
    with inside(panel.core).storage.write() as transaction:
        transaction.secrets.delete(panel.issuance(one).key_name)
    with pytest.raises(CAError) as refused:
        panel.core.certificates.revoke(one)
    assert "Revocation needs an account of this CA or the certificate's private key" in refused.value.message
    assert "Choose a CA profile" in refused.value.advice
    assert panel.core.certificates.get(one).status is Status.ACTIVE
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Valid"


def _lose_account(panel):
    with inside(panel.core).storage.write() as transaction:
        for name, _ in transaction.secrets.sealed_otherwise("", limit=100, after=None):
            if name.owner_id.startswith("puq_acme/account/"):
                transaction.secrets.delete(name)
    for document in panel.documents("account/"):
        contexts = inside(panel.core).contexts
        contexts.documents(inside(panel.core).plugins.module("puq_acme")).delete(document.key)
    panel.restart()


@pytest.mark.parametrize("account_too", [False, True], ids=["by the account", "by the key"])
def test_a_profile_that_is_gone_revokes_no_less(panel, start_pebble, account_too):
    """The account that issued is still in the store when its profile is not; else any profile of the CA will do."""
    pebble = start_pebble()
    down = panel.profile("https://127.0.0.1:9/dir", name="down")
    good = panel.profile(pebble.directory_url, pebble.roots_pem, name="good")
    certificate_id = panel.request(down, "shop.test", fallbacks=[good.id])
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    panel.core.certificates.edit(certificate_id, fallbacks=[])
    panel.core.authorities.delete(good.id)
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    through = {}
    if account_too:
        documents = inside(panel.core).contexts.documents(inside(panel.core).plugins.module("puq_acme"))
        documents.delete(*(document.key for document in documents.list("account/")))
        through["authority"] = panel.profile(pebble.directory_url, pebble.roots_pem, name="another").id
    assert panel.core.certificates.revoke(certificate_id, **through).status is Status.REVOKED
    assert pebble.certificate_status(serial)["Status"] == "Revoked"


def test_the_account_does_not_sign_for_an_imported_leaf(panel, issued):
    """A tenant imports another one's public leaf: neither the service nor the module lets the shared account revoke."""
    pebble, one = issued
    view = panel.core.certificates.view(one)
    stolen = panel.core.certificates.import_certificate(
        view.active.leaf_pem, None, authority=view.authority.id, owner="mallory"
    )
    with pytest.raises(CertCoreError, match="imported without its private key"):
        panel.core.certificates.revoke(stolen.id, reason="key_compromise")
    module = inside(panel.core).plugins.module("puq_acme")
    _, context = inside(panel.core).contexts.context(view.authority)
    with pytest.raises(CAError, match="Revocation needs an account"):
        module.revoke(panel.issuance(stolen.id), RevocationReason.UNSPECIFIED, lambda: None, context)
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Valid"
    assert panel.core.certificates.get(one).status is Status.ACTIVE


def test_a_url_that_another_ca_named_is_no_proof_of_an_order(panel, issued):
    """A CA may call its account as it likes, as the shared one at another CA: that one does not sign for it."""
    pebble, one = issued
    module = inside(panel.core).plugins.module("puq_acme")
    view = panel.core.certificates.view(one)
    _, context = inside(panel.core).contexts.context(view.authority)
    elsewhere = {**view.active.module_state, "account": "account/gone/0", "directory": "https://ca.mallory.test/dir"}
    with pytest.raises(CAError, match="Revocation needs an account"):
        module.revoke(evolve(view.active, module_state=elsewhere), RevocationReason.SUPERSEDED, lambda: None, context)
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Valid"
    moved = {**elsewhere, "directory": pebble.directory_url}
    module.revoke(evolve(view.active, module_state=moved), RevocationReason.SUPERSEDED, lambda: None, context)
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Revoked"


def test_an_imported_leaf_is_revoked_by_its_key(panel, issued):
    """RFC 8555 section 7.6: who has the key may; the tenant who has the same leaf in service learns it."""
    pebble, one = issued
    exported = panel.core.certificates.export(one, reason="a test")
    key = exported.private_key.reveal_text()
    _lose_account(panel)
    authority = panel.core.certificates.get(one).authority_id
    taken = panel.core.certificates.import_certificate(exported.leaf_pem, key, authority=authority, owner="B")
    assert panel.core.certificates.revoke(taken.id, reason="superseded").status is Status.REVOKED
    assert pebble.certificate_status(_serial(panel, one))["Reason"] == 4
    assert panel.core.certificates.get(one).status is Status.REVOKED


def test_a_leaf_of_another_ca_is_refused_in_words(panel, issued):
    """A leaf that was bought elsewhere, revoked through a profile of this CA: the error names its issuer."""
    _, one = issued
    leaf = bought("bought.test", now=panel.core.now(), issuer="Elsewhere")
    authority = panel.core.certificates.get(one).authority_id
    imported = panel.core.certificates.import_certificate(*leaf, authority=authority)
    with pytest.raises(CAError, match=r"did not revoke the leaf, whose issuer is CN=Elsewhere Intermediate") as refused:
        panel.core.certificates.revoke(imported.id)
    assert "name a CA profile of that CA" in refused.value.advice
    assert refused.value.detail in refused.value.message
    assert panel.core.certificates.get(imported.id).status is Status.ACTIVE


# -- a CA that refuses the account, or that does not answer -------------------------------------------------------

REVOKE = "/revoke-cert"


@pytest.fixture
def troubled(panel, trouble):
    """The plan of a proxy before a Pebble, the profile, and a certificate that was issued through it; its id."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    certificate_id = panel.request(profile, "shop.test")
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    return plan, profile, certificate_id


def _account(panel):
    return next(document for document in panel.documents("account/") if "url" in document.value)


def _documents(panel):
    return inside(panel.core).contexts.documents(inside(panel.core).plugins.module("puq_acme"))


@pytest.mark.parametrize("fault", ["500", "html", "empty", "not_json", "redirect", "reset", "lost"])
def test_only_the_cas_own_answer_revokes(panel, troubled, fault):
    """Whatever is sent instead of the CA's answer, the certificate stays active here, and a second call revokes it."""
    plan, _, one = troubled
    plan.faults = [(REVOKE, fault)]
    with pytest.raises(CAError):
        panel.core.certificates.revoke(one)
    assert plan.happened == [(REVOKE, fault)]
    assert panel.core.certificates.get(one).status is Status.ACTIVE
    assert panel.core.certificates.revoke(one).status is Status.REVOKED


def test_the_key_revokes_after_the_account_was_closed(panel, issued):
    """A deactivated account revokes nothing any more; the certificate's key does, and no account is opened for it."""
    pebble, one = issued
    profile = panel.core.authorities.get("ca")
    panel.core.authorities.run_action(profile.id, "deactivate_account", {})
    before = _account(panel)
    assert panel.core.certificates.revoke(one).status is Status.REVOKED
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Revoked"
    assert _account(panel) == before


def test_the_key_revokes_when_the_account_key_is_gone(panel, issued):
    """The sealed account key was lost, its record was not: the certificate's key is proof enough."""
    pebble, one = issued
    before = _account(panel)
    _documents(panel).delete_secret(f"{before.key}/key")
    panel.restart()
    assert panel.core.certificates.revoke(one).status is Status.REVOKED
    assert pebble.certificate_status(_serial(panel, one))["Status"] == "Revoked"
    assert _account(panel) == before


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "malformed"),
        (401, "unauthorized"),
        (400, "accountDoesNotExist"),
        (403, "userActionRequired"),
        (404, "malformed"),
    ],
)
def test_the_key_revokes_whatever_the_ca_says_of_the_account(panel, troubled, status, kind):
    """CAs have many words for an account that may not revoke; after each the certificate's own key is tried."""
    plan, _, one = troubled
    asked = []

    def rewrite(path, found, body, headers):
        if path == REVOKE:
            asked.append(path)
            if len(asked) == 1:
                return status, _problem(kind), headers
        return found, body, headers

    plan.rewrite = rewrite
    assert panel.core.certificates.revoke(one).status is Status.REVOKED
    assert len(asked) == 2


def test_a_refused_reason_is_told_at_once(panel, troubled):
    """What is true of the certificate whoever asks is not asked again with its key."""
    plan, _, one = troubled
    asked = []

    def rewrite(path, status, body, headers):
        if path == REVOKE:
            asked.append(path)
            return 400, _problem("badRevocationReason"), headers
        return status, body, headers

    plan.rewrite = rewrite
    with pytest.raises(CAError, match="revocation reason"):
        panel.core.certificates.revoke(one, reason="superseded")
    assert len(asked) == 1
    assert panel.core.certificates.get(one).status is Status.ACTIVE


def test_a_refusal_is_told_where_the_key_is_not_here(panel, troubled):
    """Without the certificate's key the error is the CA's refusal of the account."""
    plan, _, one = troubled
    with inside(panel.core).storage.write() as transaction:
        transaction.secrets.delete(panel.issuance(one).key_name)
    plan.rewrite = lambda path, status, body, headers: (
        (401, _problem("unauthorized", "not yours"), headers) if path == REVOKE else (status, body, headers)
    )
    with pytest.raises(CAError, match="not yours"):
        panel.core.certificates.revoke(one)


def test_a_revocation_after_a_rollover_that_was_cut_off(panel, troubled):
    """The key that counts is found out before anything is revoked; the certificate's key need not be here."""
    plan, profile, one = troubled
    with inside(panel.core).storage.write() as transaction:
        transaction.secrets.delete(panel.issuance(one).key_name)
    plan.faults = [("/rollover-account-key", "lost")]
    with pytest.raises(CAError):
        panel.core.authorities.run_action(profile.id, "roll_over_account_key", {})
    panel.restart()
    assert panel.core.certificates.revoke(one).status is Status.REVOKED


def _problem(kind, detail=""):
    return json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}).encode()
