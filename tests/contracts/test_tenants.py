"""What strangers, other tenants and viewers get from every public call, on every store, in a table that is complete."""

import inspect

import pytest
from attrs import define

import certcore
from certcore import CertCore, RolePolicy
from certcore.errors import AccessDeniedError, CertCoreError, InvalidInputError, NotFoundError
from certcore.hints import BoundForm, EditMethod, FormSubject
from support.inside import inside
from support.leaves import bought
from support.tenants import ROLES, STORES, opened_store

HIDDEN, DENIED, ALLOWED = NotFoundError, AccessDeniedError, None
#: What a stranger, another tenant and a viewer get; anna is the owner of what each call is about.
OF_ONE_THAT_IS_SEEN = (HIDDEN, HIDDEN, ALLOWED)
OF_ONE_THAT_IS_CHANGED = (HIDDEN, HIDDEN, DENIED)
OF_MANY = (DENIED, DENIED, ALLOWED)
NOBODY = (DENIED, DENIED, DENIED)
TABLE = {
    **dict.fromkeys(
        [
            "certificates.actions",
            "certificates.files",
            "certificates.find",
            "certificates.get",
            "certificates.hints",
            "certificates.issuances",
            "certificates.overlaps",
            "certificates.timeline",
            "certificates.verify_timeline",
            "certificates.view",
            "authorities.actions",
            "authorities.budgets",
            "authorities.certificate_form",
            "authorities.files",
            "authorities.get",
            "authorities.profile_form",
            "authorities.hints",
        ],
        OF_ONE_THAT_IS_SEEN,
    ),
    **dict.fromkeys(
        [
            "certificates.back_to_draft",
            "certificates.bulk_delete",
            "certificates.bulk_export",
            "certificates.bulk_renew",
            "certificates.bulk_revoke",
            "certificates.cancel_attempt",
            "certificates.check_now",
            "certificates.clone",
            "certificates.delete",
            "certificates.deliver_again",
            "certificates.deliveries",
            "certificates.edit",
            "certificates.export",
            "certificates.generate_csr",
            "certificates.preflight",
            "certificates.reissue",
            "certificates.renew",
            "certificates.run_action",
            "certificates.private_key",
            "certificates.revoke",
            "certificates.preview_transfer",
            "certificates.save",
            "certificates.transfer",
            "authorities.run_action",
            "authorities.check",
            "authorities.delete",
            "authorities.edit",
            "authorities.save",
        ],
        OF_ONE_THAT_IS_CHANGED,
    ),
    **dict.fromkeys(
        [
            "certificates.count_by_status",
            "certificates.counts",
            "certificates.list",
            "certificates.rows",
            "certificates.search",
            "authorities.list",
            "events",
        ],
        OF_MANY,
    ),
    **dict.fromkeys(
        [
            "certificates.check_import",
            "certificates.create",
            "certificates.form",
            "certificates.import_certificate",
            "authorities.create",
            "authorities.form",
            "authorities.usable",
            "sealing_keys.add",
            "sealing_keys.rewrap",
            "sealing_keys.status",
            "diagnose",
            "obtain",
        ],
        NOBODY,
    ),
    "allows": (ALLOWED, ALLOWED, ALLOWED),  # it tells what the policy says, and does nothing
    **dict.fromkeys(["sealing_keys.make_current", "sealing_keys.retire"], (HIDDEN, HIDDEN, HIDDEN)),
}
#: About the code that is loaded, and nothing that is stored.
ABOUT_CODE = {
    "authorities.modules",
    "authorities.module_form",
    "certificates.formats",
    "languages",
    "observers",
    "plugin_failures",
    "plugins",
    "translator",
}
#: Makes a facade, whose calls are those of the table.
FACADES = {"acting_as"}
#: What whoever holds the object may do: they work for nobody, and have no actor.
OF_THE_PROCESS = {
    "close",
    "create_keyring",
    "deliver_events",
    "dns_server",
    "due",
    "failed_deliveries",
    "in_memory",
    "migrate",
    "now",
    "open",
    "queue_age",
    "reconcile",
    "run_preflights",
    "worker",
}
SERVICES = ("certificates", "authorities", "sealing_keys")
ACTORS = ("mallory", "bert", "vera")


def _all_calls():
    own = {name for name, _ in inspect.getmembers(CertCore) if not name.startswith("_")}
    fields = {attrs_attr.name for attrs_attr in CertCore.__attrs_attrs__}
    services = {
        f"{service}.{name}"
        for service in SERVICES
        for name, _ in inspect.getmembers(type(getattr(_memory(), service)), inspect.isfunction)
        if not name.startswith("_")
    }
    return services | (own - fields)


def _memory():
    return CertCore.in_memory(installed_plugins=False)


@define(eq=False)
class World:
    """A store with certificates of anna and of bert."""

    core: CertCore
    authority: str
    one: str
    key: str

    def arguments(self):
        """What the calls are given, by the names of their parameters."""
        return {
            "action": "greet",
            "authority": self.authority,
            "certificate_id": self.one,
            "certificate_ids": [self.one],
            "domain": "shop.example",
            "key_id": self.key,
            "leaf": "not yet read",
            "module": "scripted",
            "name": "another",
            "name_or_id": None,
            "names": ["shop.example"],
            "owner": "anna",
            "permission": "certificate.view",
            "reason": "a test",
            "text": "shop",
            "to": "someone",
        }

    def bound(self, name, changed):
        """What a form of the object is bound to."""
        is_profile = name.startswith("authorities")
        return BoundForm(
            subject=FormSubject.AUTHORITY if is_profile else FormSubject.CERTIFICATE,
            target=changed.get("authority", self.authority) if is_profile else changed.get("certificate_id", self.one),
            method=EditMethod.EDIT,
            arguments={},
            changed=(),
            values={},
        )

    def call(self, name, actor, **changed):
        service, _, method = name.rpartition(".")
        function = getattr(getattr(self.core, service) if service else self.core, method)
        known = self.arguments() | {"name_or_id": self.one}
        if name in ("certificates.revoke", "certificates.bulk_revoke"):
            known["reason"] = "superseded"
        if name == "certificates.run_action":
            known["action"] = "check_now"
        if name == "certificates.clone":
            del known["domain"], known["owner"]
        known["bound"] = self.bound(name, changed)
        given = {}
        for parameter in inspect.signature(function).parameters.values():
            is_needed = parameter.default is inspect.Parameter.empty
            if parameter.name in known and (is_needed or parameter.name in ("owner", "reason")):
                given[parameter.name] = known[parameter.name]
        if name == "obtain":
            given |= {"domain": "shop.example", "timeout": 0.1}
        returned = function(**{**given, **{key: value for key, value in changed.items() if key in given}}, actor=actor)
        if ".bulk_" in name and returned[0].error is not None:
            raise returned[0].error
        return returned

    def stored(self):
        """Everything that is in the store."""
        with inside(self.core).storage.read() as transaction:
            certificates = transaction.certificates.page(limit=100)
            return [
                certificates,
                [transaction.issuances.of_certificate(certificate.id) for certificate in certificates],
                [transaction.schedules.get(certificate.id) for certificate in certificates],
                [transaction.timelines.get(certificate.id) for certificate in certificates],
                transaction.authorities.list(),
                transaction.events.after(0, limit=1000),
                transaction.secrets.sealed_otherwise("no key", limit=100),
                transaction.documents.list("scripted"),
                transaction.documents.list("certcore-obtain"),
            ]


@pytest.fixture(params=STORES)
def world(request, tmp_path):
    """On each kind of store."""
    with opened_store(request, request.param, tmp_path, RolePolicy(ROLES)) as core:
        authority = core.authorities.create("test", module="scripted").id
        ids = []
        for owner in ("anna", "bert"):
            certificate_id = core.certificates.create("shop.example", authority=authority, owner=owner).id
            core.certificates.generate_csr(certificate_id)
            core.reconcile(certificate_id)
            ids.append(certificate_id)
        (key,) = inside(core).vault.keyring.key_ids
        yield World(core, authority, ids[0], key)


def test_every_public_call_is_in_the_table():
    """A new method of a service, or of CertCore, is in it with what strangers, tenants and viewers get."""
    assert _all_calls() == TABLE.keys() | ABOUT_CODE | FACADES | OF_THE_PROCESS
    for name in TABLE:
        service, _, method = name.rpartition(".")
        core = _memory()
        assert "actor" in inspect.signature(getattr(getattr(core, service) if service else core, method)).parameters
    for name in OF_THE_PROCESS - {"failed_deliveries"}:
        assert "actor" not in inspect.signature(getattr(CertCore, name)).parameters


@pytest.mark.parametrize("actor", ACTORS)
def test_the_table(world, actor):
    """Each call ends as the table says; one that is refused has stored nothing, and tells nothing."""
    place = ACTORS.index(actor)
    for name, outcomes in TABLE.items():
        before = world.stored()
        try:
            world.call(name, actor)
            outcome = ALLOWED
        except (NotFoundError, AccessDeniedError) as error:
            outcome, told = type(error), error.as_dict()
        assert outcome is outcomes[place], name
        if outcome is ALLOWED:
            continue
        assert world.stored() == before, name
        if outcome is HIDDEN:
            missing = dict.fromkeys(("certificate_id", "authority", "name_or_id", "key_id"), "no-such-id")
            missing["certificate_ids"] = ["no-such-id"]
            with pytest.raises(NotFoundError) as unknown:
                world.call(name, actor, **missing)
            expected = str(unknown.value.as_dict())
            for one in (world.one, world.authority, world.key):
                told = str(told).replace(one, "no-such-id")
            assert told == expected, name
        elif actor != "vera":
            assert world.one not in str(told), name
            assert world.authority not in str(told), name


@pytest.mark.parametrize("actor", ["mallory", "bert"])
def test_a_hidden_profile_is_not_found_by_its_name_either(world, actor):
    """A call on a CA profile that the actor may not see fails for its name as for a name that no profile has."""
    name = world.core.authorities.get(world.authority).name
    for call in [call for call, outcomes in TABLE.items() if call.startswith("authorities.") and outcomes[0] is HIDDEN]:
        errors = []
        for authority in (name, "no-such-name"):
            with pytest.raises(NotFoundError) as refused:
                world.call(call, actor, authority=authority)
            errors.append(str(refused.value.as_dict()).replace(name, "no-such-name"))
        assert errors[0] == errors[1], call


@pytest.mark.parametrize("actor", ["mallory", "bert"])
def test_names_do_not_tell_what_others_have(world, actor):
    """No error reveals whether a domain, a name of a CA profile or a form value of another tenant exists."""
    certificates = world.core.certificates
    hidden = {"domain": "secret-project.example", "authority": world.authority, "owner": "anna"}
    certificates.create(**hidden)
    for name in ("secret-project.example", "no-such.example"):
        with pytest.raises(NotFoundError, match=name):
            certificates.find(name, actor=actor)
    told = set()
    for domain in ("secret-project.example", "no-such.example"):
        for fields in ({}, {"key_type": "rsa-4096"}, {"wildcard": True}):
            for authority in (world.authority, "test", "no-such-profile"):
                with pytest.raises(AccessDeniedError) as refused:
                    world.core.obtain(domain, authority=authority, owner="anna", actor=actor, timeout=0.1, **fields)
                told.add(str(refused.value.as_dict()))
    assert len(told) == 1


def test_a_tenant_cannot_guess_the_names_of_profiles(world):
    """Who may use a profile by its id, and may not see it, gets for its name what any other text gets."""
    told = []
    for name in ("test", "no-such-profile"):
        with pytest.raises(InvalidInputError) as refused:
            world.core.obtain("mine.example", authority=name, owner="bert", actor="bert", timeout=0.1)
        told.append(str(refused.value.as_dict()).replace(name, "no-such-profile"))
    assert told[0] == told[1]
    assert world.core.obtain("mine.example", authority=world.authority, owner="bert", actor="bert").active


class OnlyTheFree:
    """A policy that keeps a CA profile from tenants."""

    def __init__(self):
        self.private = set()

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject):
        return False if action.startswith("authority.") and subject in self.private and actor != "system" else None


@pytest.mark.parametrize("use", ["create", "edit", "fallback", "import", "obtain by id", "obtain by name"])
def test_a_profile_that_is_not_to_be_used_is_not_there(request, tmp_path, use):
    """Whoever may neither see nor use a CA profile gets for it what an unknown one gets, by its id and by its name."""
    policy = OnlyTheFree()
    with opened_store(request, "memory", tmp_path, policy) as core:
        free = core.authorities.create("free", module="scripted").id
        private = core.authorities.create("paid, not for tenants", module="scripted").id
        policy.private.add(private)
        certificate_id = core.certificates.create("a.example", authority=free, owner="anna").id
        known = {"owner": "anna", "actor": "anna"}
        leaf, key = bought("elsewhere.example", now=core.now())
        calls = {
            "create": lambda ca: core.certificates.create("n.example", authority=ca, **known),
            "edit": lambda ca: core.certificates.edit(certificate_id, authority=ca, actor="anna"),
            "fallback": lambda ca: core.certificates.edit(certificate_id, fallbacks=[ca], actor="anna"),
            "import": lambda ca: core.certificates.import_certificate(leaf, key, authority=ca, **known),
            "obtain by id": lambda ca: core.obtain("n.example", authority=ca, timeout=0.1, **known),
            "obtain by name": lambda ca: core.obtain("n.example", authority=ca, timeout=0.1, **known),
        }
        there = "paid, not for tenants" if use == "obtain by name" else private
        told = []
        for authority in (there, "no such profile"):
            with pytest.raises(InvalidInputError) as refused:
                calls[use](authority)
            told.append(str(refused.value.as_dict()).replace(there, "no such profile"))
        assert told[0] == told[1]
        assert [authority.id for authority in core.authorities.list(actor="anna")] == [free]
        with pytest.raises(NotFoundError):
            core.authorities.get("paid, not for tenants", actor="anna")


def test_a_page_offers_what_is_permitted(world):
    """A viewer is offered nothing, an owner what works, and every action that is offered is taken."""
    view = {actor: world.core.certificates.view(world.one, actor=actor) for actor in ("vera", "anna", "system")}
    assert view["vera"].actions == frozenset()
    assert {field.edit_method for field in view["vera"].fields} == {None}
    assert view["anna"].actions == view["system"].actions >= {"edit", "export", "renew", "revoke", "delete"}
    assert any(field.edit_method for field in view["anna"].fields)
    names = {str(hint.name) for hint in world.core.certificates.hints(world.one, actor="vera") if hasattr(hint, "name")}
    assert names.isdisjoint(map(str, view["anna"].actions))


def test_a_profile_in_use_names_no_other_tenants_certificates(request, tmp_path):
    """Who may delete profiles and not list everybody's certificates reads that there are some."""

    class Policy:
        @certcore.hookimpl
        def certcore_authorize(self, actor, action):
            return actor == "system" or action.startswith("authority.")

    with opened_store(request, "memory", tmp_path, Policy()) as core:
        authority = core.authorities.create("test", module="scripted").id
        core.certificates.create("secret-project.example", authority=authority, owner="anna")
        with pytest.raises(CertCoreError, match=r"in use by certificates\.") as refused:
            core.authorities.delete(authority, actor="keeper")
        assert "secret" not in str(refused.value.as_dict())
        with pytest.raises(CertCoreError, match="secret-project"):
            core.authorities.delete(authority)
