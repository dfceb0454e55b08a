"""Reissues: the leaf in service stays until the new one is there, whatever is changed."""

import pytest

from certcore import RenewalPolicy, Status
from certcore.errors import (
    InvalidInputError,
    TransitionNotAllowedError,
)
from certcore.model.events import EventKind
from certcore.model.issuance import Purpose
from certcore.model.keys import KeyType
from certcore.testing.scripted_ca import Act
from certcore.x509.csr import csr_names, csr_spki_sha256
from certcore.x509.keys import spki_sha256
from support.inside import inside
from support.reissues import OWN_KEY, events_of, install, issuances_with_key, own_csr

# -- what a reissue changes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "names", "key"),
    [
        ({}, ["shop.example"], "EC P-256"),
        ({"aliases": "www.shop.example"}, ["shop.example", "www.shop.example"], "EC P-256"),
        ({"wildcard": True}, ["shop.example", "*.shop.example"], "EC P-256"),
        ({"domain": "new.example"}, ["new.example"], "EC P-256"),
        ({"key_type": "ec-p384"}, ["shop.example"], "EC P-384"),
        ({"subject": {"organization": "Shop Ltd."}}, ["shop.example"], "EC P-256"),
        ({"module_data": {"order_reference": "7"}}, ["shop.example"], "EC P-256"),
        ({"csr": own_csr("own.example", "*.own.example")}, ["own.example", "*.own.example"], "EC P-384"),
    ],
)
def test_the_old_leaf_serves_until_the_new_one_is_there(bench, change, names, key):
    """Whatever is changed: during the attempt the old leaf and its key can be taken out, and then the new ones."""
    certificate_id = bench.active()
    before = bench.core.certificates.view(certificate_id)
    old = bench.core.certificates.export(certificate_id, reason="test")
    bench.ca.script = (Act.WAIT_OWNER,)
    saved = bench.core.certificates.reissue(certificate_id, **change, actor="anna")
    assert saved.status is Status.ACTIVE
    for _ in range(3):
        bench.step(certificate_id)
    during = bench.core.certificates.view(certificate_id)
    assert during.active == before.active
    assert during.certificate.not_after == before.certificate.not_after
    assert during.issuance.purpose is Purpose.REISSUE
    assert during.under_way
    assert bench.core.certificates.export(certificate_id, reason="test") == old
    assert list(csr_names(during.issuance.csr_pem)) == names
    install(bench, certificate_id)
    after = bench.core.certificates.view(certificate_id)
    assert list(after.leaf.names) == names
    assert after.leaf.public_key_algorithm == key
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    assert after.certificate.status is Status.ACTIVE
    assert after.certificate.problem is None
    (begun,) = events_of(bench, certificate_id, EventKind.RENEWAL_STARTED)
    assert begun.actor == "anna"
    assert set(begun.data.get("changes", {})) <= {*change, "domain", "aliases", "wildcard", "key_type"}
    assert (not change) == ("changes" not in begun.data)


def test_another_ca_takes_the_reissue(bench):
    """With another CA profile the next leaf comes from there, and the old one stays known as the first one's."""
    other = bench.core.authorities.create("other", module="scripted", settings={"region": "us"})
    certificate_id = bench.active()
    bench.ca.scripts["us"] = (Act.ISSUE,)
    bench.core.certificates.reissue(certificate_id, authority=other.id)
    bench.core.reconcile(certificate_id)
    issuances = bench.core.certificates.issuances(certificate_id)
    assert [issuance.authority_id for issuance in issuances] == [bench.authority.id, other.id]
    assert bench.core.certificates.view(certificate_id).active.number == 2
    with pytest.raises(InvalidInputError) as caught:
        bench.core.certificates.reissue(certificate_id, authority="nobody")
    assert caught.value.field == "authority"


def test_a_kept_key_serves_on(bench):
    """With keep_key the new leaf has the old key, also after the next change; without it never."""
    certificate_id = bench.active()
    key = bench.core.certificates.private_key(certificate_id, reason="test")
    bench.core.certificates.reissue(certificate_id, keep_key=True, aliases="www.shop.example")
    install(bench, certificate_id)
    assert bench.core.certificates.private_key(certificate_id, reason="test") == key
    bench.core.certificates.reissue(certificate_id)
    install(bench, certificate_id)
    assert bench.core.certificates.private_key(certificate_id, reason="test") != key


def test_an_attempt_with_the_key_in_service_leaves_it(bench):
    """When such an attempt is given up, or followed by another, the key of the leaf in service is still there."""
    certificate_id = bench.active()
    key = bench.core.certificates.private_key(certificate_id, reason="test")
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, keep_key=True, wildcard=True)
    bench.step(certificate_id)
    bench.core.certificates.reissue(certificate_id, keep_key=True, wildcard=False)
    bench.step(certificate_id)
    bench.core.certificates.cancel_attempt(certificate_id)
    assert bench.core.certificates.private_key(certificate_id, reason="test") == key
    assert issuances_with_key(bench, certificate_id) == {1, 2, 3}  # one key, under one name


def test_a_key_cannot_be_kept_and_be_of_another_kind(bench):
    """Asking for both is refused before anything is begun; the form does not tell of a key that the leaf has not."""
    certificate_id = bench.active()
    before = bench.core.certificates.view(certificate_id)
    with pytest.raises(InvalidInputError) as caught:
        bench.core.certificates.reissue(certificate_id, keep_key=True, key_type="rsa-2048")
    assert caught.value.field == "key_type"
    assert bench.core.certificates.view(certificate_id) == before
    bench.core.certificates.reissue(certificate_id, keep_key=True, key_type="ec-p256")


def test_a_change_of_the_key_type_is_a_new_key(bench):
    """A policy that keeps the key keeps no key of the wrong kind: what the form says is what the leaf gets."""
    certificate_id = bench.active(renewal=RenewalPolicy(rotate_key=False))
    bench.core.certificates.edit(certificate_id, key_type="ec-p384")
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    install(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.active.number == 2
    assert view.leaf.public_key_algorithm == "EC P-384"
    assert view.active.key_type is KeyType.EC_P384
    key = bench.core.certificates.private_key(certificate_id, reason="test")
    for begin in (bench.core.certificates.renew, bench.core.certificates.check_now):
        if begin == bench.core.certificates.check_now:
            bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
        begin(certificate_id)
        install(bench, certificate_id)
        assert bench.core.certificates.private_key(certificate_id, reason="test") == key
    assert bench.core.certificates.view(certificate_id).active.number == 4


def test_the_users_csr_and_back_to_a_key_of_ours(bench):
    """A CSR of the user's own is used as it is; dropping it makes a key here again."""
    certificate_id = bench.active()
    csr = own_csr("shop.example")
    bench.core.certificates.reissue(certificate_id, csr=csr)
    install(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.active.is_keyless
    assert view.active.csr_pem == csr
    assert view.leaf.spki_sha256 == spki_sha256(OWN_KEY.public_key())
    with pytest.raises(InvalidInputError) as caught:
        bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    assert caught.value.field == "aliases"
    bench.core.certificates.reissue(certificate_id, csr="", aliases="www.shop.example", key_type="ec-p256")
    install(bench, certificate_id)
    after = bench.core.certificates.view(certificate_id)
    assert not after.active.is_keyless
    assert after.leaf.public_key_algorithm == "EC P-256"
    assert after.certificate.csr_pem == ""
    assert bench.core.certificates.export(certificate_id, reason="test").private_key


# -- in other statuses -------------------------------------------------------------------------------------------------


def test_an_expired_certificate_is_reissued(bench):
    """It stays expired until the new leaf is there, and is active then, with the changed names."""
    certificate_id = bench.active(renewal={"auto": False})
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.EXPIRED
    bench.ca.script = (Act.WAIT_OWNER,)
    assert bench.core.certificates.reissue(certificate_id, wildcard=True).status is Status.EXPIRED
    bench.core.certificates.cancel_attempt(certificate_id)
    assert not bench.get(certificate_id).wildcard
    bench.core.certificates.reissue(certificate_id, wildcard=True)
    install(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.certificate.status is Status.ACTIVE
    assert "*.shop.example" in view.leaf.names


def test_a_revoked_certificate_is_reissued_with_a_new_key(bench):
    """It is pending until then, and its key is never the one that was revoked, whatever is asked for."""
    certificate_id = bench.active(renewal={"rotate_key": False})
    key = bench.core.certificates.view(certificate_id).leaf.spki_sha256
    bench.core.certificates.revoke(certificate_id)
    bench.ca.script = (Act.WAIT_OWNER,)
    assert bench.core.certificates.reissue(certificate_id, keep_key=True, aliases="b.example").status is Status.PENDING
    with pytest.raises(TransitionNotAllowedError):
        bench.core.certificates.cancel_attempt(certificate_id)
    install(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.certificate.status is Status.ACTIVE
    assert view.leaf.spki_sha256 != key


@pytest.mark.parametrize("status", ["draft", "pending", "error"])
def test_without_a_leaf_there_is_nothing_to_reissue(bench, status):
    """Before the first leaf the form is edited; the error says how to get there."""
    certificate_id = bench.draft().id
    if status != "draft":
        bench.ca.script = (Act.FAIL_NEVER if status == "error" else Act.WAIT_OWNER,)
        bench.core.certificates.generate_csr(certificate_id)
        bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status == status
    before = bench.core.certificates.view(certificate_id)
    with pytest.raises(TransitionNotAllowedError):
        bench.core.certificates.reissue(certificate_id, wildcard=True)
    assert bench.core.certificates.view(certificate_id) == before


def test_what_cannot_be_is_refused_before_anything_is_given_up(bench):
    """A wrong field, a profile that forbids the names, or no profile at all: the attempt under way goes on."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, aliases="b.example")
    bench.step(certificate_id)
    before = bench.core.certificates.view(certificate_id)
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    for field, change in (
        ("wildcard", {"wildcard": True}),
        ("aliases", {"aliases": "a_b.example"}),
        ("key_type", {"key_type": "dsa"}),
        ("csr", {"csr": "nonsense"}),
        ("domain", {"csr": own_csr("own.example"), "domain": "other.example"}),
        ("order_reference", {"module_data": {"order_reference": "x" * 41}}),
        ("country", {"subject": {"country": "Germany"}}),
    ):
        with pytest.raises(InvalidInputError) as caught:
            bench.core.certificates.reissue(certificate_id, **change)
        assert caught.value.field == field
    view = bench.core.certificates.view(certificate_id)
    assert (view.certificate, view.issuance) == (before.certificate, before.issuance)
    assert view.schedule == before.schedule


def test_the_requests_of_a_reissue_and_its_key_belong_together(bench):
    """The CSR of the attempt is signed with the key that is sealed for it."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    for keep_key in (False, True):
        bench.core.certificates.reissue(certificate_id, keep_key=keep_key, aliases="www.shop.example")
        attempt = bench.core.certificates.view(certificate_id).issuance
        with inside(bench.core).storage.read() as transaction:
            sealed = transaction.secrets.get(attempt.key_name)
        from certcore.x509.keys import load_private_key

        key = load_private_key(inside(bench.core).vault.open(sealed, attempt.key_name).reveal())
        assert csr_spki_sha256(attempt.csr_pem) == spki_sha256(key.public_key())
