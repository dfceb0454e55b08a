"""A megabyte in any argument of any public call is refused in words, and before it is worked on."""

import functools
import inspect
import itertools
import sys
import typing
from types import SimpleNamespace

import attrs
import pytest

from certcore import CertCore
from certcore.errors import CertCoreError, InvalidInputError, NotFoundError, UnknownModuleError
from certcore.model import form
from certcore.model.edit_rules import EditMethod
from certcore.model.input_form import BoundForm, FormSubject
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing import scripted_ca
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from certcore_puq_acme.accounts import actions as account_actions
from certcore_puq_acme.profile import settings

MEGABYTE = 1 << 20
MANY = 100_000
#: More calls of Python functions than any refusal takes; one for each line or name of a megabyte is far more.
MOST_CALLS = 5_000
#: Characters of an error with its advice.
MOST_SAID = 2_000
#: The kinds of field that a person types text into.
TYPED = (form.FieldKind.TEXT, form.FieldKind.MULTILINE, form.FieldKind.LINES, form.FieldKind.SECRET)
#: Arguments that are compared and never parsed: two texts are enough to see that they are measured.
KEYS = ("certificate_id", "authority", "name_or_id", "actor", "owner")
#: Calls that take a domain besides a certificate, and are tried without it.
NOT_BY_DOMAIN = ("edit", "reissue", "clone")

#: Texts of a megabyte that parsers like to look at: one word, many names, many lines, digits, markup, escapes, PEM.
TEXTS = {
    "a word": "x" * MEGABYTE,
    "names": "\n".join(f"h{number}.test" for number in range(MEGABYTE // 10)),
    "commas": "," * MEGABYTE,
    "dots": "a." * (MEGABYTE // 2),
    "digits": "7" * MEGABYTE,
    "blanks": "x" + " " * MEGABYTE + "x",
    "wide letters": "\uff57." * (MEGABYTE // 2),
    "an IDNA label": "xn--" + "a" * MEGABYTE,
    "PEM": "-----BEGIN CERTIFICATE-----\n" * (MEGABYTE // 28),
    "a CSR": "-----BEGIN CERTIFICATE REQUEST-----\n" + "A" * MEGABYTE,
    "JSON": "[" * MEGABYTE,
}
#: What is given for a list, and for members by name.
LISTS = {
    "many names": [f"h{number}.test" for number in range(MANY)],
    "one long text": ["x" * MEGABYTE],
    "one text many times": ["h.test"] * MANY,
}


@functools.cache  # nothing is taken, so that nothing changes
def a_bench():
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    core = CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment)
    authority = core.authorities.create("test", module="scripted")
    active = core.certificates.create("shop.example", authority=authority.id).id
    core.certificates.generate_csr(active)
    core.reconcile(active)
    return SimpleNamespace(core=core, authority=authority.id, active=active)


NOW = FrozenEnvironment().now()
FRESH_LEAF = LittleAuthority(NOW).issue(
    build_csr(generate_key(KeyType.EC_P256), [DnsName("fresh.example")], Subject()).decode(), now=NOW
)


def bound_form(bench, method):
    """What was read from a form, for the services that save it."""
    is_of_profile = "Authority" in method.__qualname__
    return BoundForm(
        subject=FormSubject.AUTHORITY if is_of_profile else FormSubject.CERTIFICATE,
        target=bench.authority if is_of_profile else bench.active,
        method=EditMethod.EDIT,
        arguments={},
        changed=(),
        values={},
    )


def plain_arguments(bench, method):
    """What the other arguments of a call are, by their names: enough to get past what is required."""
    known = {
        "bound": bound_form(bench, method),
        "certificate_id": bench.active,
        "certificate_ids": [bench.active],
        "to": "another",
        "name_or_id": bench.active,
        "name": "another",
        "module": "scripted",
        "authority": bench.authority,
        "action": "greet",
        "domain": "other.example",
        "reason": "superseded" if method.__name__ in ("revoke", "bulk_revoke") else "a test",
        "text": "shop",
        "leaf": FRESH_LEAF,
        "key_id": "k1",
        "timeout": 0.01,
    }
    asked = {"domain", "reason", "timeout"} if method.__name__ not in NOT_BY_DOMAIN else {"reason"}
    parameters = inspect.signature(method).parameters.values()
    return {
        parameter.name: known[parameter.name]
        for parameter in parameters
        if parameter.name in known and (parameter.default is parameter.empty or parameter.name in asked)
    }


def public_calls(core):
    """Every public method of the services and of the core, by where it is found."""
    for place in ("certificates", "authorities", "sealing_keys"):
        for name, _ in inspect.getmembers(getattr(core, place), inspect.ismethod):
            if not name.startswith("_"):
                yield place, name
    yield "", "obtain"


def found(core, place, name):
    return getattr(getattr(core, place) if place else core, name)


def arguments_of(method):
    """The name and the annotation of each argument, those of ``**form`` included."""
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            form = typing.get_args(typing.get_type_hints(method)[parameter.name])[0]
            for name, kind in typing.get_type_hints(form).items():
                yield name, kind.__name__ if isinstance(kind, type) else str(kind)
        else:
            yield parameter.name, str(parameter.annotation).strip("'")


def big_values(annotation):
    """What a stranger may post for an argument of this type."""
    if annotation.startswith("int"):
        yield "a number of 5000 digits", 10**5000
    if annotation.startswith(("int", "bool", "float", "Callable", "SecretName")):
        return
    if "Iterable" in annotation:
        yield from LISTS.items()
        yield "names in one text", TEXTS["names"]
    elif "Mapping" in annotation:
        yield "many members", {f"k{number}": "v" for number in range(MANY)}
        yield "a long name", {"x" * MEGABYTE: "v"}
    elif annotation.startswith("Secret"):
        yield "a secret", Secret("x" * MEGABYTE)
    else:
        for title, text in TEXTS.items():
            yield title, text
            if "bytes" in annotation:
                yield f"{title} in bytes", text.encode()


def cases():
    core = a_bench().core
    for place, name in public_calls(core):
        for argument, annotation in arguments_of(found(core, place, name)):
            if list(big_values(annotation)):
                yield place, name, argument, annotation


def fault(call, arguments, name):
    """What is wrong with how a call refuses one argument; empty when it does so in words, and after little work."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        call(**arguments)
    except CertCoreError as error:
        sys.setprofile(None)
        if calls > MOST_CALLS:
            return f"takes {calls} calls"
        if len(str(error.as_dict())) > MOST_SAID:
            return "is repeated"
        names_it = name in f"{getattr(error, 'field', '')} {error}" or isinstance(
            error, NotFoundError | UnknownModuleError
        )
        return "" if names_it else f"is answered with {type(error).__name__} {str(error)[:100]}"
    finally:
        sys.setprofile(None)
    return "is taken"


@pytest.mark.parametrize(("place", "name", "argument", "annotation"), list(cases()))
def test_no_argument_of_any_call_takes_a_megabyte(place, name, argument, annotation):
    """Every text, list, mapping and number of a public method is refused with its name, after little work."""
    bench = a_bench()
    method = found(bench.core, place, name)
    others = plain_arguments(bench, method)
    if argument == "csr":
        others.pop("domain", None)  # it says the names itself
    for title, value in big_values(annotation):
        if argument in KEYS and title not in ("a word", "names"):
            continue
        assert (title, fault(method, {**others, argument: value}, argument)) == (title, "")


def test_an_endless_list_ends():
    """Of an iterator no more is taken than is needed to see that it is too long."""
    bench = a_bench()
    for name in ("aliases", "fallbacks"):
        for place, call in (("certificates", "create"), ("certificates", "edit"), ("", "obtain")):
            method, taken = found(bench.core, place, call), itertools.count()
            endless = (f"h{number}.test" for number in taken)
            with pytest.raises(InvalidInputError) as refused:
                method(**{**plain_arguments(bench, method), "authority": bench.authority, name: endless})
            assert refused.value.field == name
            assert next(taken) < 2000


def settings_classes():
    """Every form of the modules that ship with certcore: of their profiles, their certificates, their actions."""
    for module in (account_actions, scripted_ca, settings):
        for kind in vars(module).values():
            fields = attrs.fields(kind) if isinstance(kind, type) and attrs.has(kind) else ()
            if fields and all("certcore.form" in field.metadata for field in fields):
                yield kind


@pytest.mark.parametrize("settings_type", list(settings_classes()))
def test_no_field_of_any_form_takes_a_megabyte(settings_type):
    """Each field is refused by its name and before its parser sees anything; required ones need not be filled in."""
    for field in form.fields_of(settings_type):
        assert field.kind not in TYPED or field.longest
        for title, value in {**TEXTS, **LISTS, "a number": 10**5000, "a secret": Secret("x" * MEGABYTE)}.items():
            parsed = []
            with pytest.raises(InvalidInputError) as refused:
                form.structure(only(settings_type, field.name, parsed), {field.name: value})
            assert (title, refused.value.field, parsed) == (title, field.name, [])
            assert len(str(refused.value.as_dict())) < MOST_SAID


def only(settings_type, name, parsed):
    """The form with this field alone, whose parser only counts."""
    attribute = attrs.fields_dict(settings_type)[name]
    spec = {**attribute.metadata["certcore.form"], "parse": lambda text, _: parsed.append(text)}
    return attrs.make_class("Only", {name: attrs.field(metadata={"certcore.form": spec})}, kw_only=True)
