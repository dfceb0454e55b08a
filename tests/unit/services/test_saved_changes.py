"""What can be saved beside a leaf, by edit and by reissue, and from when on it counts."""

import pytest
from attrs import asdict, evolve, frozen

import certcore
from certcore import CertCore, RenewalPolicy
from certcore.errors import (
    InvalidInputError,
    StaleWriteError,
    TransitionNotAllowedError,
)
from certcore.model import form
from certcore.model.certificate_fields import CERTIFICATE_FIELDS
from certcore.model.edit_rules import EditMethod, EditRule, edit_method
from certcore.model.labels import label_of
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.reissues import DAY, own_csr
from support.situations import SITUATIONS, certificate_in

# -- saving beside a leaf ----------------------------------------------------------------------------------------------


#: For each field of the table that a call takes: what is given.
GIVEN = {
    "domain": {"domain": "new.example"},
    "wildcard": {"wildcard": True},
    "aliases": {"aliases": "www.new.example"},
    "email": {"subject": {"email": "me@new.example"}},
    "organization": {"subject": {"organization": "New"}},
    "organizational_unit": {"subject": {"organizational_unit": "New"}},
    "country": {"subject": {"country": "AT"}},
    "state": {"subject": {"state": "New"}},
    "locality": {"subject": {"locality": "New"}},
    "key_type": {"key_type": "ec-p384"},
    "csr": {"csr": own_csr("own.example")},
    "auto": {},
    "days_before": {"renewal": {"days_before": 5}},
    "rotate_key": {"renewal": {"rotate_key": False}},
    "authority": {"authority": "other"},
    "fallbacks": {"fallbacks": ["other"]},
    "module_data": {"module_data": {"order_reference": "new"}},
}


@pytest.mark.parametrize("field", CERTIFICATE_FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_the_table_says_is_what_can_be_saved(bench, situation, field):
    """For every field and status, edit and reissue accept a change exactly if the table permits it."""
    status, under_way = SITUATIONS[situation]
    certificate_id = certificate_in(bench, situation)
    before = bench.core.certificates.view(certificate_id)
    assert (before.certificate.status, before.under_way) == (status, under_way)
    method = edit_method(field.edit_rule, status, under_way=under_way)
    (shown,) = [view for view in before.fields if view.field.name == field.name]
    assert shown.edit_method is method
    if field.edit_rule in (EditRule.NEVER, EditRule.CREATE):
        assert method is None
        return
    other = bench.core.authorities.create("other", module="scripted").id
    change = {name: _filled(value, other) for name, value in GIVEN[field.name].items()}
    if field.name == "auto":
        change = {"renewal": {"auto": not before.certificate.renewal.auto}}
    if method is EditMethod.EDIT:
        saved = bench.core.certificates.edit(certificate_id, **change)
        assert saved.version == before.certificate.version + 1
        (now,) = [view for view in bench.core.certificates.view(certificate_id).fields if view.field.name == field.name]
        assert now.value != shown.value
        after = bench.core.certificates.view(certificate_id)
        assert (after.certificate.status, after.issuance, after.active) == (status, before.issuance, before.active)
        assert bench.core.certificates.timeline(certificate_id)[-1].kind == "edited"
        return
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.edit(certificate_id, **change)
    assert refused.value.field in change
    assert bench.core.certificates.view(certificate_id) == before
    if method is EditMethod.REISSUE:
        assert "reissue" in refused.value.advice
        words = "an issuance is under way" if field.edit_rule is EditRule.BETWEEN else "the leaf in service has the old"
        assert words in refused.value.reason
        bench.core.certificates.reissue(certificate_id, **change)
        assert bench.core.certificates.view(certificate_id).under_way
    else:
        assert f'has the status "{label_of(status)}"' in refused.value.reason
        assert refused.value.reason.endswith(("take it back to draft first.", "wait until the CA has answered."))
        with pytest.raises(TransitionNotAllowedError):
            bench.core.certificates.reissue(certificate_id, **change)


def _filled(value, other):
    if value == "other":
        return other
    return [other] if value == ["other"] else value


def test_what_is_saved_counts_from_the_next_issuance(bench):
    """The leaf in service stays as it is; the next one has the new key type and subject, from the new CA."""
    other = bench.core.authorities.create("other", module="scripted", settings={"region": "us"})
    certificate_id = bench.active(subject={"locality": "Berlin"})
    before = bench.core.certificates.view(certificate_id)
    bench.core.certificates.edit(
        certificate_id, key_type="ec-p384", authority=other.id, subject={"organization": "New"}
    )
    after = bench.core.certificates.view(certificate_id)
    assert after.active == before.active
    assert after.issuance is None
    bench.core.reconcile(certificate_id)
    assert bench.core.certificates.view(certificate_id).schedule.due_at == before.renews_at
    bench.environment.set(before.renews_at)
    bench.ca.scripts["us"] = (Act.ISSUE,)
    for _ in range(4):
        bench.core.reconcile(certificate_id)
    renewed = bench.core.certificates.view(certificate_id)
    assert renewed.active.authority_id == other.id
    assert renewed.leaf.public_key_algorithm == "EC P-384"
    assert "New" in renewed.leaf.subject
    assert "Berlin" in renewed.leaf.subject


def test_an_edit_of_the_policy_moves_the_next_look(bench):
    """A policy that renews earlier is heeded at once, and one that renews no more lets it be."""
    certificate_id = bench.active()
    bench.core.certificates.edit(certificate_id, renewal={"days_before": 44})
    bench.core.reconcile(certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.schedule.due_at == view.renews_at < view.certificate.not_after - 40 * DAY
    bench.core.certificates.edit(certificate_id, renewal={"auto": False})
    bench.core.reconcile(certificate_id)
    assert bench.core.certificates.view(certificate_id).schedule.due_at == view.certificate.not_after


# -- what is not given stays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["edit", "reissue"])
def test_of_a_mapping_only_what_is_given_changes(bench, by):
    """The other members of subject, policy and settings stay; an empty text clears one."""
    certificate_id = bench.draft(
        subject={"organization": "Shop", "country": "DE", "email": "a@b.example"},
        renewal={"days_before": 12, "rotate_key": False},
        module_data={"order_reference": "7"},
    ).id
    if by == "reissue":
        bench.ca.script = (Act.ISSUE,)
        bench.core.certificates.generate_csr(certificate_id)
        bench.core.reconcile(certificate_id)
    change = getattr(bench.core.certificates, by)
    changed = change(certificate_id, subject={"country": "AT", "email": ""})
    assert (changed.subject.organization, changed.subject.country, changed.subject.email) == ("Shop", "AT", "")
    assert change(certificate_id, module_data={}).module_data == {"order_reference": "7"}
    assert change(certificate_id, module_data={"order_reference": ""}).module_data == {"order_reference": ""}
    if by == "reissue":
        bench.core.certificates.cancel_attempt(certificate_id)
    changed = bench.core.certificates.edit(certificate_id, renewal={"auto": False})
    assert changed.renewal == RenewalPolicy(auto=False, days_before=12, rotate_key=False)
    changed = bench.core.certificates.edit(certificate_id, renewal={"days_before": None})
    assert changed.renewal == RenewalPolicy(auto=False, rotate_key=False)
    assert bench.core.certificates.edit(certificate_id, renewal=RenewalPolicy()).renewal == RenewalPolicy()
    for field, wrong in (
        ("auto", {"renewal": {"auto": "perhaps"}}),
        ("rotate_key", {"renewal": {"rotate_key": 2}}),
        ("days_before", {"renewal": {"days_before": 0}}),
        ("days_before", {"renewal": {"days_before": "ten"}}),
        ("no_such", {"renewal": {"no_such": 1}}),
        ("no_such", {"subject": {"no_such": "1"}}),
        ("organization", {"subject": {"organization": 7}}),
        ("no_such", {"module_data": {"no_such": "1"}}),
        ("subject", {"subject": 5}),
        ("renewal", {"renewal": "x"}),
        ("module_data", {"module_data": "x"}),
        ("fallbacks", {"fallbacks": 5}),
        ("version", {"version": ""}),
        ("version", {"version": True}),
    ):
        with pytest.raises(InvalidInputError) as caught:
            bench.core.certificates.edit(certificate_id, **wrong)
        assert caught.value.field == field


@frozen(kw_only=True)
class OtherSettings:
    account: str = form.text("Account", default="")


class OtherCA(ScriptedCA):
    """Asks something else of a certificate than the scripted CA does."""

    name = "other"
    certificate_type = OtherSettings


class Both:
    """A plugin with several CA modules."""

    def __init__(self, *modules):
        self.modules = modules

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return self.modules


@pytest.mark.parametrize("by", ["edit", "reissue"])
def test_a_certificate_moves_to_a_ca_of_another_kind(by):
    """What the old CA's module asked is left behind; what the new one asks can be given with it, and nothing else."""
    environment = FrozenEnvironment()
    modules = [kind([Act.ISSUE], now=environment.now()) for kind in (ScriptedCA, OtherCA)]
    with CertCore.in_memory(plugins=[Both(*modules)], installed_plugins=False, environment=environment) as core:
        one, two = (core.authorities.create(name, module=name).id for name in ("scripted", "other"))
        shop = core.certificates.create("shop.example", authority=one, module_data={"order_reference": "7"}).id
        if by == "reissue":
            core.certificates.generate_csr(shop)
            core.reconcile(shop)
        change = getattr(core.certificates, by)
        with pytest.raises(InvalidInputError) as refused:
            change(shop, authority=two, module_data={"no_such": "1"})
        assert refused.value.field == "no_such"
        moved = change(shop, authority=two, module_data={"account": "a"})
        assert moved.module_data == {"account": "a"}
        assert change(shop, authority=one).module_data == {"order_reference": ""}
        assert change(shop, authority=two).module_data == {"account": ""}


def test_nothing_given_changes_nothing(bench):
    """Saving without a change leaves every field; reissuing without one makes a new leaf for the same form."""
    draft = bench.draft(aliases="www.shop.example", wildcard=True)
    same = {"version": 0}
    assert evolve(bench.core.certificates.edit(draft.id), **same) == evolve(draft, **same)
    certificate_id = bench.active("b.example", aliases="www.b.example")
    before = bench.get(certificate_id)
    bench.core.certificates.reissue(certificate_id)
    after = bench.get(certificate_id)
    assert (after.names, after.subject, after.renewal, after.key_type) == (
        before.names,
        before.subject,
        before.renewal,
        before.key_type,
    )


@pytest.mark.parametrize(
    ("situation", "own"),
    [*((situation, False) for situation in SITUATIONS), ("draft", True), ("pending", True), ("active", True)],
)
def test_a_form_that_is_posted_whole(bench, situation, own):
    """What is as it was is no change, in every status; what differs beside it is saved, and told on its own."""
    certificate_id = certificate_in(bench, situation, csr=own_csr("shop.example", "b.example") if own else None)
    before = bench.core.certificates.get(certificate_id)
    whole = {
        "domain": before.domain.ascii,
        "aliases": [alias.ascii for alias in before.aliases],
        "wildcard": before.wildcard,
        "authority": before.authority_id,
        "fallbacks": before.fallbacks,
        "subject": asdict(before.subject),
        "key_type": before.key_type.value,
        "renewal": asdict(before.renewal),
        "module_data": {name: f" {value} " for name, value in before.module_data.items()},
        "csr": before.csr_pem or None,
    }
    told = bench.core.certificates.timeline(certificate_id)
    assert bench.core.certificates.edit(certificate_id, **whole, version=before.version) == before
    assert bench.core.certificates.timeline(certificate_id) == told
    whole["renewal"] = {**whole["renewal"], "days_before": 7}
    assert bench.core.certificates.edit(certificate_id, **whole).version == before.version + 1
    assert bench.core.certificates.timeline(certificate_id)[-1].data["fields"] == ["renewal"]
    with pytest.raises(StaleWriteError):
        bench.core.certificates.edit(certificate_id, **whole, version=before.version)
