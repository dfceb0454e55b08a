"""A value of a wrong type is refused like any other wrong value, by the name of its argument: no TypeError gets out."""

import contextlib
import inspect
from datetime import UTC, datetime, timedelta

import pytest

from certcore import CertCore
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.authority import LittleAuthority
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key

#: Functions that the caller's own code hands over are no input.
CODE = {"unless", "progress"}
#: The fields of a certificate's form, which `obtain` takes by their names.
FORM = {"aliases", "wildcard", "csr", "key_type", "subject", "renewal", "fallbacks", "module_data"}
WRONG = [
    *(object(), 5, -1, 1.5, float("nan"), True, b"x", "x", "", [], [object()], {}, {"x": object()}, {5: 5}, (), set()),
    *(datetime(2030, 1, 1, tzinfo=UTC), type, lambda: None, ["x", 5], {"auto": "x"}, [[]], 10**30, "9" * 400),
]


def _calls():
    core = CertCore.in_memory(installed_plugins=False)
    for service in ("certificates", "authorities", "sealing_keys"):
        for name, function in inspect.getmembers(type(getattr(core, service)), inspect.isfunction):
            if not name.startswith("_"):
                yield f"{service}.{name}", function
    yield "obtain", CertCore.obtain


CALLS = dict(_calls())
ARGUMENTS = [
    *(
        (name, argument)
        for name, function in CALLS.items()
        for argument in inspect.signature(function).parameters
        if argument not in {"self", "form", *CODE}
    ),
    *(("obtain", name) for name in sorted(FORM)),
]


@pytest.fixture(scope="module")
def world():
    """A core, a CA profile, and where to get leaves from elsewhere."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    now = environment.now()
    elsewhere = LittleAuthority(now)

    def leaf():
        csr = build_csr(generate_key(KeyType.EC_P256), [DnsName("elsewhere.example")], Subject()).decode()
        return elsewhere.issue(csr, now=now, lifetime=timedelta(days=90))

    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        yield core, core.authorities.create("test", module="scripted").id, leaf


def _right(world, name, argument):
    """Values for what a call cannot do without."""
    core, authority, leaf = world
    one = core.certificates.create("shop.example", authority=authority).id
    if name not in ("certificates.generate_csr", "certificates.edit"):
        core.certificates.generate_csr(one)
        core.reconcile(one)
    known = {
        "action": "greet",
        "authority": authority,
        "authority_id": authority,
        "certificate_id": one,
        "domain": "more.example",
        "key_id": "k1",
        "leaf": leaf(),
        "module": "scripted",
        "name": "another",
        "name_or_id": authority if name.startswith("authorities") else one,
        "reason": "superseded",
        "text": "shop",
        "timeout": 0.1,
    }
    parameters = inspect.signature(CALLS[name]).parameters.values()
    needed = {one.name for one in parameters if one.default is inspect.Parameter.empty} - {"self", "form"}
    needed |= {one.name for one in parameters} & {"reason", "timeout"}
    needed |= {"domain"} if name in ("obtain", "certificates.create") and argument != "csr" else set()
    return {key: known[key] for key in needed}


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_a_value_of_any_type(world, name, argument):
    """What a call does not take is refused in errors of certcore; what no argument can be, by the argument's name."""
    core = world[0]
    service, _, method = name.rpartition(".")
    call = getattr(getattr(core, service) if service else core, method)
    right = _right(world, name, argument)
    for wrong in WRONG:
        with contextlib.suppress(CertCoreError):
            call(**{**right, argument: wrong})
    with pytest.raises(InvalidInput) as refused:
        call(**{**_right(world, name, argument), argument: object()})
    assert refused.value.field == argument
