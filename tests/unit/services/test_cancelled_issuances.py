"""Giving up an issuance beside the leaf in service: the form goes back to what the leaf has."""

import pytest
from attrs import evolve

from certcore.errors import (
    CertCoreError,
    NotFoundError,
    TransitionNotAllowedError,
)
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome
from certcore.testing.scripted_ca import Act
from support.reissues import events_of, issuances_with_key, own_csr

CHANGES = [
    {"aliases": ["b.example"]},
    {"aliases": []},
    {"wildcard": False},
    {"domain": "new.example", "wildcard": False},
    {"key_type": "ec-p384"},
    {"csr": own_csr("own.example")},
    {"csr": own_csr("www.shop.example", "shop.example", "*.shop.example")},
    {},
]


@pytest.mark.parametrize("change", CHANGES)
def test_giving_up_restores_the_form(bench, change):
    """Names, key type and CSR are those of the leaf in service again; key and what is outside are gone."""
    certificate_id = bench.active(aliases="www.shop.example", wildcard=True)
    form = bench.get(certificate_id)
    key = bench.core.certificates.private_key(certificate_id, reason="test")
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, **change)
    bench.step(certificate_id)
    assert bench.ca.held
    assert bench.core.certificates.view(certificate_id).actions >= {"cancel_attempt"}
    back = bench.core.certificates.cancel_attempt(certificate_id, actor="anna")
    assert back == bench.get(certificate_id)
    unchanged = {"version": 0, "updated_at": form.updated_at, "created_at": form.created_at}
    assert evolve(back, **unchanged) == evolve(form, **unchanged)
    assert issuances_with_key(bench, certificate_id) == {1}
    bench.core.reconcile(certificate_id)
    assert bench.ca.held == set()
    assert bench.core.certificates.private_key(certificate_id, reason="test") == key
    (event,) = events_of(bench, certificate_id, EventKind.ATTEMPT_CANCELLED)
    assert (event.actor, event.data["number"]) == ("anna", 2)
    assert bool(event.data.get("changes")) == bool(change)
    view = bench.core.certificates.view(certificate_id)
    assert view.schedule.due_at == view.renews_at
    assert "cancel_attempt" not in view.actions


def test_giving_up_keeps_the_primary_name(bench):
    """The primary name stays the first one, also if it is a wildcard."""
    certificate_id = bench.active("*.shop.example", aliases="other.example")
    bench.ca.script = (Act.WAIT_OWNER,)
    for change in ({"key_type": "ec-p384"}, {"aliases": "b.example"}, {"domain": "new.example"}):
        bench.core.certificates.reissue(certificate_id, **change)
        bench.core.certificates.cancel_attempt(certificate_id)
        back = bench.get(certificate_id)
        assert (back.domain.ascii, [name.ascii for name in back.aliases]) == ("*.shop.example", ["other.example"])


def test_giving_up_a_renewal_changes_no_field(bench):
    """A renewal that is given up leaves the form as it is, and begins again by itself when it is due."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    bench.core.reconcile(certificate_id)
    bench.core.reconcile(certificate_id)
    bench.core.certificates.cancel_attempt(certificate_id)
    bench.step(certificate_id)
    bench.step(certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.issuance.number == 3
    assert view.under_way


def test_there_must_be_something_to_give_up(bench):
    """At rest, or after a failure for good, nothing is under way; before there is a leaf it is back_to_draft."""
    certificate_id = bench.active()
    before = bench.core.certificates.view(certificate_id)
    with pytest.raises(CertCoreError, match="No issuance is under way"):
        bench.core.certificates.cancel_attempt(certificate_id)
    assert bench.core.certificates.view(certificate_id) == before
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.core.certificates.reissue(certificate_id)
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    with pytest.raises(CertCoreError, match="No issuance is under way"):
        bench.core.certificates.cancel_attempt(certificate_id)
    pending = bench.requested("new.example")
    with pytest.raises(TransitionNotAllowedError) as refused:
        bench.core.certificates.cancel_attempt(pending)
    assert "Back to draft" in refused.value.advice
    with pytest.raises(NotFoundError):
        bench.core.certificates.cancel_attempt("nobody")


def test_back_to_draft_is_not_for_what_is_in_service(bench):
    """A certificate with a leaf in service cannot lose it by the button for drafts; the error says what there is."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id)
    with pytest.raises(TransitionNotAllowedError) as refused:
        bench.core.certificates.back_to_draft(certificate_id)
    assert {"cancel_attempt", "reissue"} <= set(refused.value.allowed)
    pending = bench.requested("new.example")
    bench.core.certificates.back_to_draft(pending)
    assert issuances_with_key(bench, pending) == set()
    assert bench.core.certificates.issuances(pending)[0].outcome is Outcome.ABANDONED
