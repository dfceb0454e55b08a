"""A facade for one actor: the same calls without actor and tenant, and buttons for exactly what succeeds."""

import inspect
from functools import partial

import pytest

from certcore import ActingCore, CertCore, CertCoreError
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.hints import ActionButton
from certcore.model.lifecycle import USER_ACTIONS, Action
from certcore.model.offers import OFFERS
from certcore.testing.scripted_ca import Act
from support.situations import SITUATIONS, certificate_in

SERVICES = ("authorities", "certificates", "sealing_keys")
#: What each action is given besides the certificate's id.
ARGUMENTS = {
    Action.EDIT: {"renewal": {"days_before": 7}},
    Action.EXPORT: {"format": "pem"},
    Action.REVOKE: {"reason": "superseded"},
}


def _public(kind):
    return {name: member for name, member in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_every_call_with_an_actor_is_there(bench):
    """A new call that takes an actor is in the facade, too; those of the process are not."""
    acting = bench.core.acting_as("carla", owner="customer-7")
    for service in SERVICES:
        for name, function in _public(type(getattr(bench.core, service))).items():
            signature = inspect.signature(getattr(getattr(acting, service), name))
            assert not {"actor", "owner", "self"} & set(signature.parameters), name
            assert signature.return_annotation == inspect.signature(function).return_annotation
    for name, function in _public(CertCore).items():
        takes_actor = "actor" in inspect.signature(function).parameters
        assert hasattr(acting, name) is (takes_actor and name != "acting_as"), name
    assert "create" in dir(acting.certificates)
    assert not hasattr(acting.certificates, "_contexts")


def test_the_actor_and_the_tenant_are_those_of_the_facade(bench):
    """What is done is recorded for the actor and belongs to the tenant; nobody can name another one."""
    acting = bench.core.acting_as("carla", owner="customer-7")
    draft = acting.certificates.create("shop.example", authority=bench.authority.id)
    assert draft.owner == "customer-7"
    assert bench.core.certificates.timeline(draft.id)[0].actor == "carla"
    bound = acting.certificates.form(authority=bench.authority.id).bind({"domain": "form.example"})
    assert acting.certificates.save(bound).owner == "customer-7"
    bench.ca.script = (Act.ISSUE,)
    assert acting.obtain("shop.example", authority=bench.authority.id).certificate.id == draft.id
    for call in (
        lambda: acting.certificates.get(draft.id, actor="root"),
        lambda: acting.certificates.list(owner="other"),
        lambda: acting.events(actor="root"),
    ):
        with pytest.raises(TypeError, match="acting_as"):
            call()
    assert (acting.actor, acting.owner) == ("carla", "customer-7")
    assert "carla" in repr(acting)
    assert "carla" in repr(acting.certificates)


@pytest.mark.parametrize("actor", ["", "x\u200b", "x" * 300, None, 5])
def test_a_facade_needs_an_actor(bench, actor):
    """An empty or malformed actor is refused where the facade is made."""
    with pytest.raises(InvalidInputError) as refused:
        bench.core.acting_as(actor)
    assert refused.value.field == "actor"
    with pytest.raises(InvalidInputError) as refused:
        bench.core.acting_as("carla", owner=" x")
    assert refused.value.field == "owner"


def test_only_the_tenant_is_there_even_without_a_policy(bench):
    """A panel without a policy gives each customer a facade: others' ids are not found, and lists do not show them."""
    mine = bench.core.acting_as("carla", owner="customer-7")
    other = bench.active(owner="customer-9")
    before = bench.core.certificates.view(other)
    own = mine.certificates.create("own.example", authority=bench.authority.id)
    calls = {
        name: function
        for name, function in _public(type(bench.core.certificates)).items()
        if "certificate_id" in inspect.signature(function).parameters and name != "form"
    }
    assert len(calls) > 15
    for name, function in calls.items():
        known = {"reason": "superseded", "action": "check_now", "to": "customer-7"}
        arguments = {name: known[name] for name in inspect.signature(function).parameters if name in known}
        for certificate_id in (other, "no-such-id"):
            with pytest.raises(NotFoundError):
                getattr(mine.certificates, name)(certificate_id, **arguments)
    with pytest.raises(NotFoundError):
        mine.certificates.form(other)
    with pytest.raises(NotFoundError):
        mine.certificates.find("shop.example")
    assert bench.core.certificates.view(other) == before
    assert [each.id for each in mine.certificates.list().items] == [own.id]
    assert mine.certificates.search("shop") == () or list(mine.certificates.search("shop")) == []
    assert {item.event.certificate_id for item in mine.events().items} == {own.id}
    everybody = bench.core.acting_as("carla")
    assert everybody.certificates.get(other).owner == "customer-9"
    assert len(everybody.certificates.list().items) == 2


def test_what_all_tenants_share_takes_a_yes(bench, bench_with_roles):
    """In a panel without a policy a customer's facade uses CA profiles, and neither reads nor changes them."""
    profile = bench.authority.id
    customer = bench.core.acting_as("carla", owner="customer-7")
    assert customer.certificates.create("shop.example", authority=profile).authority_id == profile
    assert [each.id for each in customer.authorities.usable()] == [profile]
    assert customer.certificates.form(authority=profile)["order_reference"].edit_method
    for call in (customer.authorities.get, customer.authorities.form, customer.authorities.delete):
        with pytest.raises(NotFoundError):
            call(profile)
    for call in (customer.authorities.list, customer.sealing_keys.status, customer.sealing_keys.add):
        with pytest.raises(AccessDeniedError):
            call()
    assert bench.core.acting_as("carla").authorities.get(profile)
    administrator = bench_with_roles.core.acting_as("ada", owner="customer-7")
    assert administrator.authorities.get(bench_with_roles.authority.id)


@pytest.mark.parametrize("actor", ["vera", "anna", "bert", "ada"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_offered_is_what_succeeds(bench_with_roles, situation, actor):
    """For a viewer, the owner, another owner and an administrator: every button works, and no other call does."""
    bench = bench_with_roles
    acting = bench.core.acting_as(actor)
    for action in sorted(USER_ACTIONS):
        certificate_id = certificate_in(bench, situation, owner="anna")
        try:
            offers = {offer.action: offer for offer in acting.certificates.view(certificate_id).offers}
        except NotFoundError:
            assert actor == "bert"
            offers = {}
        offer = offers.get(action, OFFERS[action])
        arguments = {**ARGUMENTS.get(action, {}), **offer.arguments}
        if "reason" in offer.asks:
            arguments.setdefault("reason", "a test")
        if action is Action.EXPORT and action not in offers:
            arguments["with_key"] = False
        call = partial(getattr(acting.certificates, offer.method), certificate_id, **arguments)
        if action in offers:
            call()
        else:
            with pytest.raises(CertCoreError):
                call()
    assert len({offer.is_primary for offer in offers.values()}) == 2 or actor in ("vera", "bert")


def test_an_export_is_offered_with_the_key_where_it_can_be_had(bench_with_roles):
    """A viewer downloads the certificate alone, the owner exports the key, nobody the key of an own CSR."""
    bench = bench_with_roles
    active = bench.active(owner="anna")

    def export(actor, certificate_id):
        (offer,) = [
            offer
            for offer in bench.core.certificates.view(certificate_id, actor=actor).offers
            if offer.action is Action.EXPORT
        ]
        return offer

    assert export("vera", active).arguments == {"with_key": False}
    assert export("anna", active).arguments == {}
    assert "reason" in export("anna", active).asks
    exported = bench.core.certificates.export(active, reason="test")
    imported = bench.core.certificates.import_certificate(exported.leaf_pem, owner="bert").id
    assert export("bert", imported).arguments == {"with_key": False}


def test_a_reissue_asks_for_the_ca_where_there_is_none(bench_with_roles):
    """An imported certificate has no CA profile: the offer names what the call needs, and the call with it succeeds."""
    bench = bench_with_roles
    active = bench.active(owner="anna")
    exported = bench.core.certificates.export(active, reason="test")
    certificate_id = bench.core.certificates.import_certificate(exported.leaf_pem, owner="bert").id

    def asks(actor, certificate_id):
        offers = bench.core.certificates.view(certificate_id, actor=actor).offers
        return next(offer.asks for offer in offers if offer.action is Action.REISSUE)

    assert asks("anna", active) == ()
    assert asks("bert", certificate_id) == ("authority",)
    acting = bench.core.acting_as("bert", owner="bert")
    with pytest.raises(CertCoreError):
        acting.certificates.reissue(certificate_id)
    acting.certificates.reissue(certificate_id, authority=bench.authority.id)


def test_every_action_of_a_user_has_an_offer():
    """Each has a label, a sentence, and a method of the service; what cannot be brought back asks first."""
    assert set(OFFERS) == USER_ACTIONS
    certificates = type(CertCore.in_memory(installed_plugins=False).certificates)
    for offer in OFFERS.values():
        parameters = inspect.signature(getattr(certificates, offer.method)).parameters
        assert set(offer.asks) <= set(parameters)
        assert offer.confirm or not offer.is_destructive
        assert str(offer.label)
        assert str(offer.help)


def test_hints_offer_no_refused_button(bench_with_roles):
    """The buttons among the hints are for actions that are offered, too."""
    bench = bench_with_roles
    certificate_id = certificate_in(bench, "pending", owner="anna")
    for actor in ("vera", "anna", "ada"):
        acting = bench.core.acting_as(actor)
        offered = {offer.action for offer in acting.certificates.view(certificate_id).offers}
        buttons = {hint.name for hint in acting.certificates.hints(certificate_id) if isinstance(hint, ActionButton)}
        assert buttons & set(Action) <= offered


def test_a_customer_diagnoses_names(bench_with_roles):
    """An owner who may use a CA profile may also ask what would keep names from being validated."""
    acting = bench_with_roles.core.acting_as("anna", owner="anna")
    with pytest.raises(InvalidInputError, match="cannot diagnose"):
        acting.diagnose(["shop.example"], authority=bench_with_roles.authority.id)
    with pytest.raises(AccessDeniedError):
        bench_with_roles.core.acting_as("bert", owner="anna").diagnose(
            ["shop.example"], authority=bench_with_roles.authority.id
        )
    assert isinstance(acting, ActingCore)
