"""Every call of a service asks the policy, and the built-in roles let through whom they should."""

import inspect
from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, Permission, Role, RolePolicy
from certcore.errors import AccessDeniedError, AmbiguousNameError, CertCoreError, InvalidInputError, NotFoundError
from certcore.hints import BoundForm, EditMethod, FormSubject
from certcore.model.hints import Level, Message, Notice
from certcore.model.keys import KeyType
from certcore.model.names import parse_identifier
from certcore.model.permissions import GRANTS
from certcore.model.subject import Subject
from certcore.plugin import ActionDone, CertificateAction
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem
from support.inside import inside

#: Calls that tell about the code that is loaded, not about anything stored.
ABOUT_CODE = {"authorities.modules", "authorities.module_form", "certificates.formats"}
#: What the calls are given; by the name of their parameter.
ARGUMENTS = {
    "domain": "more.example",
    "authority": "{authority}",
    "certificate_id": "{certificate}",
    "name_or_id": "{certificate}",
    "name": "another",
    "module": "scripted",
    "reason": "a test",
    "text": "shop",
    "to": "someone",
    "key_id": "{key}",
    "action": "greet",
    "leaf": "not yet read",
    "known": "not yet called",
}


class Recorder:
    """Writes down what it is asked; says what it is told to say."""

    def __init__(self):
        self.asked, self.answer, self.refused = [], None, ()

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        self.asked.append((actor, action, subject, owner))
        return False if (action, subject) in self.refused else self.answer


class ActingCA(ScriptedCA):
    """Offers an action to owners, and one to those who approve."""

    def certificate_actions(self, view, context):
        text = Message("acting.label", "Act")
        return [
            CertificateAction(name=f"action_{number}", label=text, help=text, permission=permission)
            for number, permission in enumerate((Permission.CERTIFICATE_ACT, Permission.CERTIFICATE_APPROVE))
        ]

    def run_certificate_action(self, name, values, work, *, actor):
        return ActionDone(text=Message("acting.done", "Done."))


def _core(*plugins, ca_type=ScriptedCA):
    environment = FrozenEnvironment()
    ca = ca_type([Act.ISSUE], now=environment.now())
    return CertCore.in_memory(plugins=[ca.plugin(), *plugins], installed_plugins=False, environment=environment)


def _filled(core, actor="root"):
    """A CA profile, and an active certificate of anna's."""
    authority = core.authorities.create("test", module="scripted", actor=actor).id
    certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna", actor=actor).id
    core.certificates.generate_csr(certificate_id, actor=actor)
    core.reconcile(certificate_id)
    return authority, certificate_id


def _calls(core):
    """Every public call of every service, by its name."""
    services = {
        name: getattr(core, name)
        for name in vars(type(core)) | {field.name: None for field in type(core).__attrs_attrs__}
        if not name.startswith("_") and type(getattr(core, name, None)).__module__.startswith("certcore.services.")
    }
    return {
        f"{service}.{name}": getattr(held, name)
        for service, held in services.items()
        for name, member in inspect.getmembers(type(held), inspect.isfunction)
        if not name.startswith("_")
    }


def _stored(core):
    with inside(core).storage.read() as transaction:
        return (transaction.certificates.page(), transaction.authorities.list(), transaction.events.after(0))


def _bound(method, known):
    is_profile = type(method.__self__).__name__ == "Authorities"
    return BoundForm(
        subject=FormSubject.AUTHORITY if is_profile else FormSubject.CERTIFICATE,
        target=known["authority" if is_profile else "certificate"],
        method=EditMethod.EDIT,
        arguments={},
        changed=(),
        values={},
    )


def _call(method, actor, **known):
    given = {}
    for name, parameter in inspect.signature(method).parameters.items():
        is_needed = parameter.default is inspect.Parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if name == "bound":
            given[name] = _bound(method, known)
        elif name == "certificate_ids":
            given[name] = [known["certificate"]]
        elif name == "reason" and method.__name__ == "bulk_revoke":
            given[name] = "superseded"
        elif is_needed or name == "reason":
            given[name] = ARGUMENTS[name].format(**known)
    returned = method(**given, actor=actor)
    if "certificate_ids" in given and returned[0].error is not None:
        raise returned[0].error
    return returned


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
        (key,) = inside(core).vault.keyring.key_ids
        recorder.asked.clear()
        recorder.answer = False
        before = _stored(core)
        with pytest.raises((AccessDeniedError, NotFoundError)) as refused:
            _call(_calls(core)[name], "mallory", authority=authority, certificate=one, key=key)
        for actor, action, subject, owner in recorder.asked:
            assert actor == "mallory"
            assert action in list(Permission)
            assert subject in ("", authority, one, key)
            if subject == one:
                assert owner == "anna"
        # What is about one object asks second whether it may be seen; it may not, so it is not there.
        is_about_one = not recorder.asked or recorder.asked[0][2] != ""
        assert isinstance(refused.value, NotFoundError) is is_about_one
        assert before == _stored(core)


def test_every_permission_is_asked_for():
    """No action of the table is dead: some call asks for it; and the roles know each."""
    recorder = Recorder()
    with _core(recorder, ca_type=ActingCA) as core:
        authority, one = _filled(core)
        (key,) = inside(core).vault.keyring.key_ids
        recorder.asked.clear()
        # These are asked second, or of one owner alone.
        core.certificates.create("more.example", authority=authority, owner="anna", actor="mallory")
        core.certificates.list(owner="anna", actor="mallory")
        core.certificates.actions(one, actor="mallory")
        recorder.answer = False
        for name in CALLS:
            with pytest.raises((AccessDeniedError, NotFoundError)):
                _call(_calls(core)[name], "mallory", authority=authority, certificate=one, key=key)
    assert {action for _, action, _, _ in recorder.asked} == set(Permission) == set(GRANTS)


def _imported(core, **fields):
    key = generate_key(KeyType.EC_P256)
    now = core.now()
    csr = build_csr(key, [parse_identifier("elsewhere.example")], Subject()).decode()
    leaf = LittleAuthority(now).issue(csr, now=now, lifetime=timedelta(days=90))
    return core.certificates.import_certificate(leaf, private_key_pem(key).decode(), **fields)


#: Every way to have a certificate of anna's use a CA profile that it did not have: its own is ``old``.
USES = {
    "create": lambda core, one, old, new: core.certificates.create(
        "n.example", authority=new, owner="anna", actor="mallory"
    ),
    "create with a fallback": lambda core, one, old, new: core.certificates.create(
        "n.example", authority=old, fallbacks=[new], owner="anna", actor="mallory"
    ),
    "edit": lambda core, one, old, new: core.certificates.edit(one, authority=new, actor="mallory"),
    "edit the fallbacks": lambda core, one, old, new: core.certificates.edit(one, fallbacks=[new], actor="mallory"),
    "reissue": lambda core, one, old, new: core.certificates.reissue(one, authority=new, actor="mallory"),
    "import": lambda core, one, old, new: _imported(core, authority=new, owner="anna", actor="mallory"),
    "revoke": lambda core, one, old, new: core.certificates.revoke(one, authority=new, actor="mallory"),
    "obtain": lambda core, one, old, new: core.obtain("n.example", authority=new, owner="anna", actor="mallory"),
}


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there"])
@pytest.mark.parametrize("use", USES)
def test_a_profile_is_asked_for(use, there):
    """Whatever a certificate is to use a CA profile for, the policy is asked first; no does not tell of the profile."""
    recorder = Recorder()
    with _core(recorder) as core:
        old, one = _filled(core)
        new = core.authorities.create("of another tenant", module="scripted").id if there else "no-such-profile"
        recorder.refused = [(Permission.AUTHORITY_USE, new)]
        before = _stored(core)
        with pytest.raises(AccessDeniedError) as refused:
            USES[use](core, one, old, new)
        assert (refused.value.action, refused.value.subject) == (Permission.AUTHORITY_USE, new)
        assert ("mallory", Permission.AUTHORITY_USE, new, "anna") in recorder.asked
        assert _stored(core) == before
        recorder.refused = ()
        if there:
            USES[use](core, one, old, new)


def test_a_copy_asks_for_the_profiles():
    """A copy is a certificate of its own: the policy is asked for its profiles, with the tenant of the copy."""
    recorder = Recorder()
    with _core(recorder) as core:
        old, one = _filled(core)
        other = core.authorities.create("other", module="scripted").id
        core.certificates.edit(one, fallbacks=[other])
        for profile in (old, other):
            recorder.refused = [(Permission.AUTHORITY_USE, profile)]
            with pytest.raises(AccessDeniedError):
                core.certificates.clone(one, "n.example", owner="bert", actor="mallory")
            assert ("mallory", Permission.AUTHORITY_USE, profile, "bert") in recorder.asked
        recorder.refused = ()
        assert core.certificates.clone(one, "n.example", owner="bert").owner == "bert"


def test_nobody_is_asked_again_for_a_profile():
    """What a certificate has it may keep and use in another order: only a profile that is new to it is asked for."""
    recorder = Recorder()
    with _core(recorder) as core:
        old, one = _filled(core)
        other = core.authorities.create("other", module="scripted").id
        core.certificates.edit(one, fallbacks=[other])
        recorder.refused = [(Permission.AUTHORITY_USE, old), (Permission.AUTHORITY_USE, other)]
        core.certificates.edit(one, authority=old, fallbacks=[other], renewal={"auto": False}, actor="anna")
        core.certificates.edit(one, authority=other, fallbacks=[old], actor="anna")
        core.certificates.reissue(one, authority=other, actor="anna")
        core.reconcile(one)
        core.certificates.renew(one, actor="anna")
        core.reconcile(one)
        core.certificates.revoke(one, authority=old, actor="anna")
        core.certificates.edit(one, fallbacks=[], actor="anna")
        with pytest.raises(AccessDeniedError):
            core.certificates.edit(one, fallbacks=[old], actor="anna")


class Hinting:
    """A plugin that says what it finds in a view."""

    @certcore.hookimpl
    def certcore_hints(self, view):
        found = f"{view.authority.name} {view.authority.module} {sorted(view.authority.settings)}"
        return [Notice(Level.INFO, Message("test.found", found))]


def test_a_page_does_not_show_the_settings_of_a_profile():
    """Who may see the certificate, but not its CA profile, learns of the profile the id, the name and the module."""
    with _core(RolePolicy(ROLES), Hinting()) as core:
        settings = {"note": "an internal note", "api_key": "canary"}
        stored = core.authorities.create("CA", module="scripted", settings=settings, description="canary", actor="ada")
        certificate_id = core.certificates.create("a.example", authority=stored.id, owner="anna", actor="anna").id
        assert core.certificates.view(certificate_id, actor="vera").authority == stored
        assert core.certificates.view(certificate_id).authority == stored
        shown = core.certificates.view(certificate_id, actor="anna").authority
        assert (shown.id, shown.name, shown.module) == (stored.id, "CA", "scripted")
        assert (dict(shown.settings), shown.description, shown.secrets_set) == ({}, "", frozenset())
        texts = {
            actor: [str(hint) for hint in core.certificates.hints(certificate_id, actor=actor)]
            for actor in ("vera", "anna")
        }
        assert "'note'" in texts["vera"][-1]
        assert "CA scripted []" in texts["anna"][-1]
        assert len(texts["anna"]) == len(texts["vera"])
        assert not any("module_failed" in text for text in texts["anna"])


class Target:
    """A target whose failure tells what a tenant has no business to know."""

    name = "web"

    @certcore.hookimpl
    def certcore_on_event(self, event):
        raise CertCoreError("nginx: /srv/other-tenant.example.conf:7 is wrong")


class Looking:
    """An observer that looks at the certificate of each event, and goes on without one that is gone."""

    name = "looking"

    def __init__(self):
        self.seen = []

    @certcore.hookimpl
    def certcore_on_event(self, event, certificates):
        try:
            certificates.view(event.certificate_id, actor="plugin:looking")
        except NotFoundError:
            self.seen.append("gone")


def test_for_an_observer_a_refusal_is_no_deletion():
    """Who has been told of a certificate and may not see it gets the refusal, and its target is shown as failed."""
    looking = Looking()
    with _core(RolePolicy(ROLES), looking) as core:
        authority = core.authorities.create("CA", module="scripted", actor="ada").id
        certificate_id = core.certificates.create("a.example", authority=authority, owner="anna", actor="anna").id
        core.deliver_events()
        assert looking.seen == []
        assert (
            "plugin:looking does not have the permission"
            in core.certificates.deliveries(certificate_id).behind["looking"].reason
        )
        with pytest.raises(NotFoundError):
            core.certificates.view(certificate_id, actor="plugin:looking")  # for everybody else it is not there


def test_why_a_target_failed_is_not_for_tenants():
    """The owner's hints say which target failed, and when it is tried again; why, only who runs the server sees."""
    with _core(RolePolicy(ROLES), Target()) as core:
        authority = core.authorities.create("CA", module="scripted", actor="ada").id
        certificate_id = core.certificates.create("a.example", authority=authority, owner="anna", actor="anna").id
        core.deliver_events()
        told = core.certificates.hints(certificate_id, actor="anna")[-1].text
        assert told.key == "core.target_failed"
        assert told.params["target"] == "web"
        assert told.params["times"] == 1
        assert "UTC" in told.params["retry_at"]
        assert "other-tenant" not in repr(told)
        for actor in ("anna", "vera"):
            with pytest.raises(AccessDeniedError):
                core.certificates.deliveries(certificate_id, actor=actor)
        for actor in ("otto", "ada", "system"):
            assert "other-tenant" in core.certificates.deliveries(certificate_id, actor=actor).behind["web"].reason


ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.ADMINISTRATOR, "system": Role.ADMINISTRATOR}


@pytest.fixture
def panel():
    with _core(RolePolicy(ROLES)) as core:
        _, one = _filled(core, "ada")
        yield core, one


def _may(call, *arguments, actor, **more):
    try:
        call(*arguments, actor=actor, **more)
    except (AccessDeniedError, NotFoundError):
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
    assert who(certificates.list, owner="") == ["vera", "otto", "ada"]
    assert who(certificates.count_by_status) == ["vera", "otto", "ada"]
    assert who(certificates.search, "shop") == ["vera", "otto", "ada"]
    assert who(certificates.deliveries, one) == who(certificates.deliver_again, one) == ["otto", "ada"]
    assert who(certificates.verify_timeline, one) == ["vera", "otto", "ada"]
    assert who(authorities.list) == ["vera", "otto", "ada"]
    assert who(certificates.create, "a.example", authority=authority) == ["otto", "ada"]
    assert who(certificates.renew, one) == ["otto", "ada"]
    assert who(certificates.private_key, one, reason="r") == ["ada"]
    assert who(certificates.export, one, reason="r") == ["ada"]
    assert who(authorities.check, authority) == ["otto", "ada"]
    assert who(authorities.edit, authority, description="x") == ["ada"]
    assert not _may(certificates.delete, one, actor="vera")
    assert _may(certificates.delete, one, actor="otto")


def test_a_refusal_names_the_permission_by_its_title(panel):
    """Administrators find the permission under this name on the pages; programs read the code word."""
    core, one = panel
    with pytest.raises(AccessDeniedError) as refused:
        core.certificates.delete(one, actor="vera")
    assert refused.value.message == f"vera does not have the permission 'Delete a certificate' for {one}."
    assert refused.value.params == {"actor": "vera", "action": "certificate.delete", "subject": one}
    assert core.translator("de")(refused.value.text) == (
        f"vera hat nicht die Berechtigung „Ein Zertifikat löschen“ für {one}."
    )


def test_a_page_can_ask_what_it_may_offer(panel):
    """`allows` says of each permission whether the call that needs it would be refused; other words are refused."""
    core, one = panel
    authority = core.authorities.list()[0].id
    assert not core.allows(Permission.AUTHORITY_EDIT, subject=authority, actor="vera")
    assert core.allows("authority.edit", subject=authority, actor="ada")
    assert core.allows("certificate.renew", subject=one, owner="anna", actor="anna")
    assert not core.acting_as("otto").allows(Permission.AUTHORITY_ACT)
    tenant = core.acting_as("otto", owner="anna")
    assert tenant.allows(Permission.CERTIFICATE_VIEW, subject=one)
    assert not tenant.allows(Permission.KEYRING_CHANGE)
    with pytest.raises(InvalidInputError) as refused:
        core.allows("authority.paint", actor="ada")
    assert refused.value.field == "permission"


def test_the_owner_of_a_certificate(panel):
    """An owner does everything with the own certificates, keys included, and nothing with those of others."""
    core, one = panel
    certificates = core.certificates
    authority = core.authorities.list()[0].id
    other = certificates.create("other.example", authority=authority, owner="bert", actor="otto").id
    assert certificates.get(one, actor="anna").owner == "anna"
    assert certificates.export(one, reason="mine", actor="anna").leaf_pem
    assert [certificate.id for certificate in certificates.list(owner="anna", actor="anna").items] == [one]
    assert [certificate.id for certificate in certificates.search("shop", owner="anna", actor="anna")] == [one]
    mine = certificates.create("mine.example", authority=authority, owner="anna", actor="anna").id
    certificates.edit(mine, wildcard=True, actor="anna")
    hidden = [
        lambda: certificates.get(other, actor="anna"),
        lambda: certificates.edit(other, wildcard=True, actor="anna"),
        lambda: certificates.timeline(other, actor="anna"),
    ]
    refused = [
        lambda: certificates.list(actor="anna"),
        lambda: certificates.list(owner="bert", actor="anna"),
        lambda: certificates.search("other", actor="anna"),
        lambda: certificates.count_by_status(actor="anna"),
        lambda: certificates.create("x.example", authority=authority, owner="bert", actor="anna"),
        lambda: certificates.create("x.example", authority=authority, actor="anna"),
        lambda: core.authorities.list(actor="anna"),
    ]
    for call in hidden:
        with pytest.raises(NotFoundError):
            call()
    for call in refused:
        with pytest.raises(AccessDeniedError):
            call()


def test_the_record_of_a_deleted_certificate(panel):
    """Its record says whose it was: the owner and the roles see it, and nobody who may see what has no owner."""
    core, _ = panel
    authority = core.authorities.list()[0].id
    mine = core.certificates.create("mine.example", authority=authority, owner="anna", actor="anna").id
    core.certificates.delete(mine, actor="anna")
    for actor in ("anna", "vera"):
        *_, last = core.certificates.timeline(mine, actor=actor)
        assert (last.kind, last.data["owner"], last.actor) == ("deleted", "anna", "anna")
        assert core.certificates.verify_timeline(mine, actor=actor).intact
    for actor in ("bert", "nobody"):
        with pytest.raises(NotFoundError):
            core.certificates.timeline(mine, actor=actor)
    recorder = Recorder()
    with _core(recorder) as core:
        authority, one = _filled(core)
        core.certificates.delete(one)
        core.certificates.timeline(one, actor="bert")
        assert recorder.asked[-1] == ("bert", Permission.CERTIFICATE_VIEW, one, "anna")


def test_everybody_is_not_nobody():
    """A policy that lets tenants list what has no owner does not let them list what is somebody else's with it."""

    class Shared:
        @certcore.hookimpl
        def certcore_authorize(self, actor, action, owner):
            return actor == "system" or (action == "certificate.list" and owner in ("", actor))

    with _core(Shared()) as core:
        authority = core.authorities.create("CA", module="scripted").id
        core.certificates.create("a.example", authority=authority, owner="anna")
        shared = core.certificates.create("b.example", authority=authority)
        assert list(core.certificates.list(owner="", actor="bert").items) == [shared]
        for call in (
            lambda: core.certificates.list(actor="bert"),
            lambda: core.certificates.search("a.example", actor="bert"),
            lambda: core.certificates.count_by_status(actor="bert"),
        ):
            with pytest.raises(AccessDeniedError) as refused:
                call()
            assert refused.value.action == Permission.CERTIFICATE_LIST_ALL


def test_a_name_does_not_tell_of_other_tenants(panel):
    """Who looks for a domain that two tenants have finds the own one, and learns nothing of the other's id."""
    core, one = panel
    authority = core.authorities.list()[0].id
    other = core.certificates.create("shop.example", authority=authority, owner="bert", actor="otto").id
    assert core.certificates.find("shop.example", actor="anna").id == one
    assert core.certificates.find("shop.example", actor="bert").id == other
    with pytest.raises(AmbiguousNameError):
        core.certificates.find("shop.example", actor="vera")
    for name in ("shop.example", one, "nowhere.example"):
        with pytest.raises(NotFoundError):
            core.certificates.find(name, actor="mallory")


def test_tenants_and_roles_can_be_looked_up(panel):
    """Roles and tenants may come from functions; a function that fails is a no."""
    roles = {"ada": Role.ADMINISTRATOR}
    policy = RolePolicy(roles.get, owners=lambda actor: {"anna": ["acme inc", "anna"]}[actor])
    with _core(policy) as core:
        authority = core.authorities.create("test", module="scripted", actor="ada").id
        core.certificates.create("a.example", authority=authority, owner="acme inc", actor="anna")
        for owner, actor in (("other", "anna"), ("acme inc", "unknown")):
            with pytest.raises(AccessDeniedError):
                core.certificates.create("b.example", authority=authority, owner=owner, actor=actor)
        with pytest.raises(AccessDeniedError) as refused:
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
    inside(core).environment.advance(timedelta(seconds=1))
    for _ in range(5):
        core.reconcile(one)
    assert len(core.certificates.issuances(one, actor="vera")) == 2


def test_input_is_looked_at_after_the_permission(panel):
    """Who may not ask learns nothing from errors about the input; who may gets them."""
    core, _ = panel
    with pytest.raises(AccessDeniedError):
        core.certificates.list(limit=0, actor="mallory")
    with pytest.raises(InvalidInputError):
        core.certificates.list(limit=0, actor="vera")
