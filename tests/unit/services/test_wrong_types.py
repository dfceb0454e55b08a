"""A value of a wrong type is refused like any other wrong value, by the name of its argument: no TypeError gets out."""

import contextlib
import inspect
from datetime import UTC, datetime, timedelta

import pytest

from certcore import CertCore, ListOptions
from certcore.errors import CertCoreError, InvalidInputError
from certcore.model.certificate_form import CertificateChanges, CertificateOptions
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key

#: Functions that the caller's own code hands over are no input.
CODE = {"progress"}
#: The fields of a certificate's form, and the filters of a list, that calls take by their names.
FORM = {
    "options": CertificateOptions.__annotations__,
    "changes": CertificateChanges.__annotations__,
    "filters": ListOptions.__annotations__,
}
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
        for parameter in inspect.signature(function).parameters
        for argument in FORM.get(parameter, [parameter])
        if argument not in {"self", *CODE}
    ),
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
    certificate_id = core.certificates.create("shop.example", authority=authority).id
    if name not in ("certificates.generate_csr", "certificates.edit"):
        core.certificates.generate_csr(certificate_id)
        core.reconcile(certificate_id)
    known = {
        "action": "greet",
        "authority": authority,
        "certificate_id": certificate_id,
        "domain": "more.example",
        "key_id": "k1",
        "module": "scripted",
        "name": "another",
        "name_or_id": authority if name.startswith("authorities") else certificate_id,
        "reason": "superseded",
        "text": "shop",
        "to": "someone",
        "certificate_ids": [certificate_id],
        "timeout": 0.1,
    }
    made = {"leaf": leaf, "bound": lambda: _bound(core, name, certificate_id, authority)}
    parameters = inspect.signature(CALLS[name]).parameters.values()
    needed = {parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty} - {
        "self",
        *FORM,
    }
    needed |= {parameter.name for parameter in parameters} & {"reason", "timeout"}
    needed |= {"domain"} if name in ("obtain", "certificates.create") and argument != "csr" else set()
    return {key: made[key]() if key in made else known[key] for key in needed}


def _bound(core, name, certificate_id, authority):
    service, target = (
        (core.authorities, authority) if name.startswith("authorities") else (core.certificates, certificate_id)
    )
    return service.form(target).bind({}, partial=True)


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
    with pytest.raises(InvalidInputError) as refused:
        call(**{**_right(world, name, argument), argument: object()})
    assert refused.value.field == argument
