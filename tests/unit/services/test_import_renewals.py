"""Imported certificates are renewed by the CA that one says, expire, or are not valid yet."""

import pytest

from certcore import CertCore, NoticePolicy, Status
from certcore.errors import InvalidInputError
from certcore.model.issuance import Purpose
from certcore.model.renewal_info import SuggestedWindow
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act
from certcore.x509.keys import spki_sha256
from support.imported_leaves import DAY, KEY, KEY_PEM, LEAF, LEAF_NAMES, NOW, kinds, leaf_of, rest


def test_without_a_ca_nobody_renews_it(bench):
    """It runs to its end and is expired then; renewing it says what is missing."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    view = bench.core.certificates.view(certificate_id)
    assert view.renews_at is None
    assert not view.certificate.renews_itself
    assert {"renew", "generate_csr"}.isdisjoint(view.actions)
    for call in (bench.core.certificates.renew, bench.core.certificates.reissue):
        with pytest.raises(InvalidInputError) as refused:
            call(certificate_id)
        assert refused.value.field == "authority"
        assert refused.value.advice
    rest(bench, certificate_id)
    bench.step(certificate_id)
    rest(bench, certificate_id)
    assert bench.get(certificate_id).status is Status.EXPIRED
    assert kinds(bench, certificate_id) == ["imported", "expired"]
    assert bench.core.certificates.view(certificate_id).schedule.due_at is None


@pytest.mark.parametrize("bound", ["at the import", "later by an edit"])
def test_with_a_ca_it_is_renewed_by_its_policy(bench, bound):
    """When it is due, with the names of the leaf; the imported leaf stays in service until the new one is there."""
    leaf = leaf_of("shop.example", "*.shop.example", "b.example")
    at_once = {"authority": bench.authority.id} if bound == "at the import" else {}
    certificate_id = bench.core.certificates.import_certificate(
        leaf, KEY_PEM, renewal={"days_before": 20}, **at_once
    ).id
    rest(bench, certificate_id)
    if not at_once:
        assert bench.core.certificates.view(certificate_id).renews_at is None
        bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.schedule.due_at == view.renews_at
    assert 19 * DAY <= view.certificate.not_after - view.renews_at <= 20 * DAY
    bench.environment.set(view.renews_at)
    for _ in range(3):
        bench.step(certificate_id)
        during = bench.core.certificates.view(certificate_id)
        assert during.active == view.active
        assert during.certificate.status is Status.ACTIVE
        assert bench.core.certificates.export(certificate_id, reason="test").private_key.reveal_text() == KEY_PEM
    assert {name.ascii for name in during.issuance.names} == {"shop.example", "*.shop.example", "b.example"}
    bench.step(certificate_id)
    rest(bench, certificate_id)
    after = bench.core.certificates.view(certificate_id)
    assert after.active.number == 2
    assert after.active.purpose is Purpose.RENEW
    assert set(after.leaf.names) == {"shop.example", "*.shop.example", "b.example"}
    assert after.leaf.spki_sha256 != view.leaf.spki_sha256
    assert bench.ca.held == set()


@pytest.mark.parametrize("imported", [True, False])
def test_without_a_ca_profile_it_is_not_renewed_any_more(bench, imported):
    """Empty text takes the profile away; the leaf stays in service to its end, and a profile can be given again."""
    certificate_id = bench.active()
    if imported:
        certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
        rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).renews_at is not None
    bench.core.certificates.edit(certificate_id, authority="")
    rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert (view.certificate.authority_id, view.renews_at) == (None, None)
    for field, change in {"fallbacks": ["nobody"], "module_data": {"order_reference": "7"}}.items():
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.edit(certificate_id, authority="", **{field: change})
        assert refused.value.field == field
    bench.environment.advance(91 * DAY)
    rest(bench, certificate_id)
    ended = bench.core.certificates.view(certificate_id)
    assert (ended.certificate.status, ended.active.id) == (Status.EXPIRED, view.active.id)
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.reissue(certificate_id)
    assert refused.value.field == "authority"
    bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    bench.ca.script = (Act.ISSUE,)
    rest(bench, certificate_id)
    assert bench.core.certificates.get(certificate_id).status is Status.ACTIVE


def test_an_overdue_import_is_renewed_at_once(bench):
    """One that ends in some days is due when it comes in, or when it gets its CA profile."""
    bench.ca.script = (Act.ISSUE,)
    for more in ({"authority": bench.authority.id}, {}):
        leaf = leaf_of(at=NOW - 85 * DAY)
        certificate_id = bench.core.certificates.import_certificate(
            leaf, KEY_PEM, owner=f"tenant {len(more)}", **more
        ).id
        if not more:
            bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
        rest(bench, certificate_id)
        view = bench.core.certificates.view(certificate_id)
        assert view.active.number == 2
        assert view.days_remaining > 80


def test_the_ca_of_an_import_is_asked_when_it_wants_a_renewal(wishing_bench):
    """From when it has a CA profile on: a mass revocation reaches certificates that moved in, too (RFC 9773)."""
    bench = wishing_bench
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    now = bench.environment.now()
    bench.ca.windows[LEAF_NAMES] = SuggestedWindow(start=now + 5 * DAY, end=now + 6 * DAY)
    bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert now + 5 * DAY <= view.renews_at <= now + 6 * DAY
    bench.environment.set(view.renews_at)
    rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).active.number == 2


def test_without_a_ca_profile_nobody_is_asked_any_more(wishing_bench):
    """An import that has lost its CA profile rests until its end: nobody knows which CA it is from."""
    bench = wishing_bench
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
    rest(bench, certificate_id)
    assert bench.ca.asked > 0
    asked_again = bench.core.certificates.view(certificate_id).schedule.due_at
    bench.core.certificates.edit(certificate_id, authority="")
    rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).schedule.due_at > asked_again


def test_a_reissue_names_the_ca(bench):
    """An imported certificate is reissued with a CA profile that is named in the call, and has it from then on."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.reissue(
        certificate_id, authority=bench.authority.id, aliases="www.shop.example", keep_key=True
    )
    rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.certificate.authority_id == bench.authority.id
    assert view.leaf.names == ("shop.example", "www.shop.example")
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())


def test_giving_a_reissue_of_an_import_up(bench):
    """The names are those of the imported leaf again, the primary one first."""
    leaf = leaf_of("*.shop.example", "b.example", "shop.example")
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id)
    bench.core.certificates.reissue(certificate.id, domain="new.example", aliases="", wildcard=False)
    back = bench.core.certificates.cancel_attempt(certificate.id)
    assert back.names == certificate.names
    assert (back.domain, back.aliases, back.wildcard) == (certificate.domain, certificate.aliases, certificate.wildcard)


@pytest.mark.parametrize("quiet", [True, False])
def test_an_expired_leaf_is_expired_at_once(quiet):
    """There is one event, of the import; nothing else is told of it, and nothing is asked of a CA that it has not."""
    environment = FrozenEnvironment()
    policy = NoticePolicy(days_before=() if quiet else (30, 7, 1))
    with CertCore.in_memory(installed_plugins=False, environment=environment, notices=policy) as core:
        certificate = core.certificates.import_certificate(leaf_of(at=NOW - 100 * DAY), KEY_PEM)
        assert certificate.status is Status.EXPIRED
        for _ in range(5):
            core.reconcile(certificate.id)
            environment.advance(DAY)
        view = core.certificates.view(certificate.id)
        assert view.days_remaining == -15
        assert view.schedule.due_at is None
        assert [event.kind for event in view.events] == ["imported"]
        assert any("expired" in text for text in view.events[0].data["warnings"])
        assert core.certificates.export(certificate.id, reason="test").private_key.reveal_text() == KEY_PEM


def test_an_expired_leaf_with_a_ca_is_renewed(bench):
    """Taken in to be renewed, it is: at once, and active then."""
    bench.ca.script = (Act.ISSUE,)
    certificate = bench.core.certificates.import_certificate(
        leaf_of(at=NOW - 100 * DAY), KEY_PEM, authority=bench.authority.id
    )
    assert certificate.status is Status.EXPIRED
    rest(bench, certificate.id)
    assert bench.get(certificate.id).status is Status.ACTIVE
    assert kinds(bench, certificate.id) == ["imported", "renewal_started", "installed"]


@pytest.mark.parametrize(
    ("days", "remaining", "status"),
    [
        (0.5, 0, Status.ACTIVE),
        (1, 1, Status.ACTIVE),
        (1.5, 1, Status.ACTIVE),
        (398, 398, Status.ACTIVE),
        (0, 0, Status.EXPIRED),
        (-0.5, -1, Status.EXPIRED),
        (-400, -400, Status.EXPIRED),
    ],
)
def test_days_remaining(bench, days, remaining, status):
    """Whole days, rounded down; at its very end a certificate is expired."""
    leaf = leaf_of(at=NOW - 500 * DAY, days=500 + days)
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM)
    assert certificate.status is status
    assert bench.core.certificates.view(certificate.id).days_remaining == remaining


def test_a_leaf_that_is_not_valid_yet(bench):
    """It is taken with a warning, and its renewal is worked out like any other."""
    certificate_id = bench.core.certificates.import_certificate(
        leaf_of(at=NOW + 3 * DAY), KEY_PEM, authority=bench.authority.id
    ).id
    view = bench.core.certificates.view(certificate_id)
    assert any("not valid before" in text for text in view.events[0].data["warnings"])
    rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).schedule.due_at == view.renews_at
