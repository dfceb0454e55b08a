"""The built-in roles, owners and tenants: who may see and do what."""

from datetime import timedelta

import pytest

import certcore
from certcore import Permission, Role, RolePolicy
from certcore.errors import AccessDeniedError, AmbiguousNameError, InvalidInputError, NotFoundError
from support.inside import inside
from support.policies import ROLES, Recorder, core_with, filled


@pytest.fixture
def panel():
    with core_with(RolePolicy(ROLES)) as core:
        _, one = filled(core, "ada")
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
    with core_with(recorder) as core:
        authority, one = filled(core)
        core.certificates.delete(one)
        core.certificates.timeline(one, actor="bert")
        assert recorder.asked[-1] == ("bert", Permission.CERTIFICATE_VIEW, one, "anna")


def test_everybody_is_not_nobody():
    """A policy that lets tenants list what has no owner does not let them list what is somebody else's with it."""

    class Shared:
        @certcore.hookimpl
        def certcore_authorize(self, actor, action, owner):
            return actor == "system" or (action == "certificate.list" and owner in ("", actor))

    with core_with(Shared()) as core:
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
    with core_with(policy) as core:
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
