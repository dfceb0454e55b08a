"""Names of CA profiles: nobody chooses one that is read as another profile."""

import pytest
from attrs import evolve

from certcore import CertCore
from certcore.errors import AlreadyExistsError, InvalidInputError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside


@pytest.fixture
def core():
    environment = FrozenEnvironment()
    plugin = ScriptedCA([Act.ISSUE], now=environment.now()).plugin()
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False, environment=environment) as core:
        yield core


def test_no_profile_is_called_as_the_id_of_another(core):
    """An ID in a script, or in a target's ``authorities``, always means the same CA profile."""
    shared = core.authorities.create("shared", module="scripted")
    with pytest.raises(AlreadyExistsError):
        core.authorities.create(shared.id, module="scripted")
    other = core.authorities.create("other", module="scripted")
    with pytest.raises(AlreadyExistsError):
        core.authorities.edit(other.id, name=shared.id)
    assert core.authorities.edit(shared.id, description="as before").name == "shared"


def test_an_id_goes_before_a_name(core):
    """A name that was stored before there was that check leads nobody to another profile."""
    shared = core.authorities.create("shared", module="scripted")
    with inside(core).storage.write() as transaction:
        transaction.authorities.add(evolve(shared, id="f" * 32, name=shared.id, version=1))
    assert core.authorities.get(shared.id).id == shared.id
    assert core.obtain("shop.example", authority=shared.id, timeout=5).certificate.authority_id == shared.id


@pytest.mark.parametrize("name", ["Let's Encrypt\ufe0f", "shared\u200b", "\u2800"])
def test_a_name_has_no_character_that_nobody_sees(core, name):
    """Two profiles with names that look the same are one to a person who chooses."""
    core.authorities.create("shared", module="scripted")
    with pytest.raises(InvalidInputError) as refused:
        core.authorities.create(name, module="scripted")
    assert refused.value.field == "name"
