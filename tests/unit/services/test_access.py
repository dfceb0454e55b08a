"""Every call of a service asks the policy, and the built-in roles let through whom they should."""

import inspect
from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, Permission, Role, RolePolicy
from certcore.errors import AccessDenied, AmbiguousName, InvalidInput, NotFound
from certcore.model.permissions import GRANTS
from certcore.services.access import Access
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA

#: Calls that tell about the code that is loaded, not about anything stored.
ABOUT_CODE = {"authorities.modules", "authorities.form", "certificates.formats"}
#: What the calls are given; by the name of their parameter.
ARGUMENTS = {
    "domain": "more.example",
    "authority": "{authority}",
    "authority_id": "{authority}",
    "certificate_id": "{certificate}",
    "name_or_id": "{certificate}",
    "name": "another",
    "module": "scripted",
    "reason": "a test",
    "text": "shop",
    "key_id": "{key}",
    "action": "greet",
    "leaf": "not yet read",
}


class Recorder:
    """Writes down what it is asked; says what it is told to say."""

    def __init__(self):
        self.asked, self.answer = [], None

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        self.asked.append((actor, action, subject, owner))
        return self.answer


def _core(*plugins):
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    return CertCore.in_memory(plugins=[ca.plugin(), *plugins], installed_plugins=False, environment=environment)


def _filled(core, actor="root"):
    """A CA profile, and an active certificate of anna's."""
    authority = core.authorities.create("test", module="scripted", actor=actor).id
    one = core.certificates.create("shop.example", authority=authority, owner="anna", actor=actor).id
    core.certificates.generate_csr(one, actor=actor)
    core.reconcile(one)
    return authority, one


def _calls(core):
    """Every public call of every service, by its name."""
    services = {
        name: getattr(core, name)
        for name in vars(type(core)) | {field.name: None for field in type(core).__attrs_attrs__}
        if not name.startswith("_") and isinstance(getattr(getattr(core, name, None), "access", None), Access)
    }
    return {
        f"{service}.{name}": getattr(held, name)
        for service, held in services.items()
        for name, member in inspect.getmembers(type(held), inspect.isfunction)
        if not name.startswith("_")
    }


def _stored(core):
    with core.engine.storage.read() as transaction:
        return (transaction.certificates.page(), transaction.authorities.list(), transaction.events.after(0))


def _call(method, actor, **known):
    given = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.default is inspect.Parameter.empty or name == "reason":
            given[name] = ARGUMENTS[name].format(**known)
    return method(**given, actor=actor)


CALLS = sorted(set(_calls(_core())) - ABOUT_CODE)


def test_the_services_are_found():
    """The enumeration finds what users call: no service slips through."""
    assert {"authorities.create", "certificates.get", "certificates.export", "certificates.search"} <= set(CALLS)
    assert len(CALLS) >= 25


@pytest.mark.parametrize("name", CALLS)
def test_every_call_asks_first(name):
    """Whatever is called, a policy that says no stops it before anything is read out or changed."""
    recorder = Recorder()
    with _core(recorder) as core:
        authority, one = _filled(core)
        (key,) = core.engine.vault.keyring.key_ids
        recorder.asked.clear()
        recorder.answer = False
        before = _stored(core)
        with pytest.raises(AccessDenied) as refused:
            _call(_calls(core)[name], "mallory", authority=authority, certificate=one, key=key)
        assert refused.value.actor == "mallory"
        ((actor, action, subject, owner),) = recorder.asked
        assert actor == "mallory"
        assert action in list(Permission)
        assert subject in ("", authority, one, key)
        if subject == one:
            assert owner == "anna"
        assert before == _stored(core)


def test_every_permission_is_asked_for():
    """No action of the table is dead: some call asks for it; and the roles know each."""
    recorder = Recorder()
    with _core(recorder) as core:
        authority, one = _filled(core)
        (key,) = core.engine.vault.keyring.key_ids
        recorder.answer = False
        for name in CALLS:
            with pytest.raises(AccessDenied):
                _call(_calls(core)[name], "mallory", authority=authority, certificate=one, key=key)
    assert {action for _, action, _, _ in recorder.asked} == set(Permission) == set(GRANTS)


ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.ADMINISTRATOR, "system": Role.ADMINISTRATOR}


@pytest.fixture
def panel():
    with _core(RolePolicy(ROLES)) as core:
        _, one = _filled(core, "ada")
        yield core, one


def _may(call, *arguments, actor, **more):
    try:
        call(*arguments, actor=actor, **more)
    except AccessDenied:
        return False
    return True


def test_roles(panel):
    """A viewer sees, an operator manages, an administrator does everything, and nobody else does anything."""
    core, one = panel
    certificates, authorities = core.certificates, core.authorities
    authority = authorities.list(actor="ada")[0].id
    people = ("nobody", "vera", "otto", "ada")

    def who(call, *arguments, **more):
        return [actor for actor in people if _may(call, *arguments, actor=actor, **more)]

    assert who(certificates.view, one) == ["vera", "otto", "ada"]
    assert who(certificates.list) == ["vera", "otto", "ada"]
    assert who(certificates.verify_timeline, one) == ["vera", "otto", "ada"]
    assert who(authorities.list) == ["vera", "otto", "ada"]
    assert who(certificates.create, "a.example", authority=authority) == ["otto", "ada"]
    assert who(certificates.renew, one) == ["otto", "ada"]
    assert who(certificates.reveal_private_key, one, reason="r") == ["ada"]
    assert who(certificates.export, one, reason="r") == ["ada"]
    assert who(authorities.check, authority) == ["otto", "ada"]
    assert who(authorities.edit, authority, description="x") == ["ada"]
    assert not _may(certificates.delete, one, actor="vera")
    assert _may(certificates.delete, one, actor="otto")


def test_the_owner_of_a_certificate(panel):
    """An owner does everything with the own certificates, keys included, and nothing with those of others."""
    core, one = panel
    certificates = core.certificates
    authority = core.authorities.list()[0].id
    other = certificates.create("other.example", authority=authority, owner="bert", actor="otto").id
    assert certificates.get(one, actor="anna").owner == "anna"
    assert certificates.export(one, reason="mine", actor="anna").leaf_pem
    assert [found.id for found in certificates.list(owner="anna", actor="anna").items] == [one]
    assert [found.id for found in certificates.search("shop", owner="anna", actor="anna")] == [one]
    mine = certificates.create("mine.example", authority=authority, owner="anna", actor="anna").id
    certificates.edit(mine, wildcard=True, actor="anna")
    refused = [
        lambda: certificates.get(other, actor="anna"),
        lambda: certificates.edit(other, wildcard=True, actor="anna"),
        lambda: certificates.timeline(other, actor="anna"),
        lambda: certificates.list(actor="anna"),
        lambda: certificates.list(owner="bert", actor="anna"),
        lambda: certificates.search("other", actor="anna"),
        lambda: certificates.count_by_status(actor="anna"),
        lambda: certificates.create("x.example", authority=authority, owner="bert", actor="anna"),
        lambda: certificates.create("x.example", authority=authority, actor="anna"),
        lambda: core.authorities.list(actor="anna"),
    ]
    for call in refused:
        with pytest.raises(AccessDenied):
            call()
    certificates.delete(mine, actor="anna")
    with pytest.raises(AccessDenied):
        certificates.timeline(mine, actor="anna")
    assert certificates.timeline(mine, actor="vera")[-1].actor == "anna"


def test_a_name_does_not_tell_of_other_tenants(panel):
    """Who looks for a domain that two tenants have finds the own one, and learns nothing of the other's id."""
    core, one = panel
    authority = core.authorities.list()[0].id
    other = core.certificates.create("shop.example", authority=authority, owner="bert", actor="otto").id
    assert core.certificates.find("shop.example", actor="anna").id == one
    assert core.certificates.find("shop.example", actor="bert").id == other
    with pytest.raises(AmbiguousName):
        core.certificates.find("shop.example", actor="vera")
    with pytest.raises(AccessDenied):
        core.certificates.find("shop.example", actor="mallory")
    with pytest.raises(NotFound):
        core.certificates.find("nowhere.example", actor="mallory")


def test_tenants_and_roles_can_be_looked_up(panel):
    """Roles and tenants may come from functions; a function that fails is a no."""
    roles = {"ada": Role.ADMINISTRATOR}
    policy = RolePolicy(roles.get, owners=lambda actor: {"anna": ["acme inc", "anna"]}[actor])
    with _core(policy) as core:
        authority = core.authorities.create("test", module="scripted", actor="ada").id
        core.certificates.create("a.example", authority=authority, owner="acme inc", actor="anna")
        for owner, actor in (("other", "anna"), ("acme inc", "unknown")):
            with pytest.raises(AccessDenied):
                core.certificates.create("b.example", authority=authority, owner=owner, actor=actor)
        with pytest.raises(AccessDenied) as refused:
            core.certificates.list()
        assert refused.value.actor == "system"
        assert not policy.certcore_authorize(actor="x", action="plugin.action", owner="x")
        assert policy.certcore_authorize(actor="ada", action="plugin.action", owner="")


@pytest.mark.parametrize("found", [None, (), "", "customer-77", ["customer-77"], "xcustomer-7"])
def test_a_tenant_is_its_whole_name(found):
    """Who owns nothing, or one whose name only holds the other's, is let in nowhere; one text is one tenant."""
    policy = RolePolicy({}, owners=lambda _: found)
    assert not policy.certcore_authorize(actor="carla", action="certificate.view", owner="customer-7")
    assert not policy.certcore_authorize(actor="carla", action="certificate.view", owner="")
    policy = RolePolicy({}, owners=lambda _: "customer-7")
    assert policy.certcore_authorize(actor="carla", action="certificate.view", owner="customer-7")


def test_the_engine_asks_nobody(panel):
    """Steps, and the DNS server's look at the profiles, need no permission: they work for nobody."""
    core, one = panel
    core.certificates.renew(one, actor="otto")
    core.engine.environment.advance(timedelta(seconds=1))
    for _ in range(5):
        core.reconcile(one)
    assert len(core.certificates.issuances(one, actor="vera")) == 2


def test_input_is_looked_at_after_the_permission(panel):
    """Who may not ask learns nothing from errors about the input; who may gets them."""
    core, _ = panel
    with pytest.raises(AccessDenied):
        core.certificates.list(limit=0, actor="mallory")
    with pytest.raises(InvalidInput):
        core.certificates.list(limit=0, actor="vera")
