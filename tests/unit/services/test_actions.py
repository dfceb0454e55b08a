"""What a certificate's page offers is what can be done, in every status; what it does not offer is refused."""

import pytest

from certcore import CertCoreError
from certcore.model.lifecycle import NEEDS, TRANSITIONS, USER_ACTIONS, Action, Status
from certcore.model.permissions import NEEDED
from support.situations import SITUATIONS, certificate_in

#: The public call that carries each action out.
CALLS = {
    Action.EDIT: lambda bench, one: bench.core.certificates.edit(one, renewal={"days_before": 7}),
    Action.GENERATE_CSR: lambda bench, one: bench.core.certificates.generate_csr(one),
    Action.BACK_TO_DRAFT: lambda bench, one: bench.core.certificates.back_to_draft(one),
    Action.CHECK_NOW: lambda bench, one: bench.core.certificates.check_now(one),
    Action.RENEW: lambda bench, one: bench.core.certificates.renew(one),
    Action.REISSUE: lambda bench, one: bench.core.certificates.reissue(one, authority=bench.authority.id),
    Action.CANCEL_ATTEMPT: lambda bench, one: bench.core.certificates.cancel_attempt(one),
    Action.EXPORT: lambda bench, one: bench.core.certificates.export(one, "pem", with_key=False).files,
    Action.REVOKE: lambda bench, one: bench.core.certificates.revoke(one),
    Action.DELETE: lambda bench, one: bench.core.certificates.delete(one),
}


def _imported(bench, *, has_authority):
    """A leaf that was imported without its private key."""
    leaf = bench.core.certificates.export(bench.active("moved.example"), reason="test").leaf_pem
    authority = bench.authority.id if has_authority else None
    return bench.core.certificates.import_certificate(leaf, authority=authority, owner="anna").id


#: Situations in which an action is refused for another reason than the status.
MORE = {
    "imported": lambda bench: _imported(bench, has_authority=True),
    "imported, no CA profile": lambda bench: _imported(bench, has_authority=False),
    "draft, no CA profile": lambda bench: bench.core.certificates.edit(bench.draft().id, authority="").id,
    "draft after a revocation": lambda bench: (
        bench.core.certificates.back_to_draft(certificate_in(bench, "revoked, renewing")).id
    ),
}


def test_every_action_of_a_user_has_a_call_and_a_permission():
    """Nothing is offered that no public call performs, and nothing is performed without asking the policy."""
    assert set(CALLS) == USER_ACTIONS == set(NEEDED)
    assert set(NEEDS) <= USER_ACTIONS
    assert {action for _, action in TRANSITIONS} == set(Action)


@pytest.mark.parametrize("action", CALLS)
@pytest.mark.parametrize("situation", [*SITUATIONS, *MORE])
def test_an_action_is_offered_exactly_where_it_can_be_taken(bench, situation, action):
    """An offered action succeeds; one that is not offered is refused and changes nothing."""
    one = MORE[situation](bench) if situation in MORE else certificate_in(bench, situation)
    before = bench.core.certificates.view(one)
    try:
        CALLS[action](bench, one)
    except CertCoreError:
        assert action not in before.actions
        assert bench.core.certificates.view(one) == before
    else:
        assert action in before.actions


@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_edit_is_offered_where_a_field_can_be_edited(bench, situation):
    """The table of actions and the rules of the fields agree: there is always a field that can be edited."""
    view = bench.core.certificates.view(certificate_in(bench, situation))
    editable = {field.field.name for field in view.fields if field.edit_method == "edit"}
    assert Action.EDIT in view.actions
    assert {"days_before", "fallbacks"} <= editable
    if view.certificate.status in (Status.PENDING, Status.PROCESSING, Status.ERROR):
        assert "authority" not in editable
