"""`CertCore.allows`: what decides on links and buttons is what the calls themselves ask."""

import pytest

from certcore import InvalidInputError, Permission


@pytest.mark.parametrize(
    ("actor", "allowed"), [("vera", False), ("otto", True), ("ada", True), ("carla", True), ("nobody", False)]
)
def test_the_policy_answers(bench_with_roles, actor, allowed):
    """A viewer may not create for a tenant; operators, administrators and the tenant may."""
    assert bench_with_roles.core.allows(Permission.CERTIFICATE_CREATE, owner="carla", actor=actor) is allowed


def test_an_actor_with_a_tenant_is_asked_about_its_own(bench_with_roles):
    """`acting_as` brings actor and owner; what concerns all tenants takes a policy that says yes."""
    carla = bench_with_roles.core.acting_as("carla", owner="carla")
    assert carla.allows("certificate.create")
    assert not carla.allows("authority.view")
    with pytest.raises(TypeError):
        carla.allows("certificate.create", owner="another")


def test_without_a_policy_tenants_do_not_see_profiles(bench):
    """With no policy everything is allowed, but what concerns all tenants is not for one of them."""
    assert bench.core.allows("authority.edit")
    tenant = bench.core.acting_as("carla", owner="carla")
    assert tenant.allows("certificate.create")
    assert not tenant.allows("authority.edit")


@pytest.mark.parametrize("values", [{"owner": "a\n"}, {"subject": "a\u200b"}, {"actor": "\x00"}])
def test_malformed_names_are_refused(bench, values):
    """An owner, a subject or an actor that nobody can see is no question."""
    (field,) = values
    with pytest.raises(InvalidInputError) as refused:
        bench.core.allows("certificate.view", **values)
    assert refused.value.field == field


def test_an_unknown_permission_is_refused(bench):
    """A misspelt permission is an error, not a no."""
    with pytest.raises(InvalidInputError, match=r"certificate\.creat"):
        bench.core.allows("certificate.creat")
