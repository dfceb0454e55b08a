"""What cannot work is said when it is loaded, by name, with what to do; and no plugin takes another one's name."""

import logging

import attrs
import pytest

import certcore
from certcore import CertCore
from certcore.errors import AccessDeniedError, CertCoreError, KeyringError, PluginError
from certcore.model.export import ExportedFile, ExportFormat, Use
from certcore.model.secret import Secret, SecretName
from certcore.ports.ca_module import CAModule
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.broken_plugins import (
    BROKEN,
    HOUSE,
    IMPORTED,
    IMPORTS,
    LoadedProfile,
    Offering,
    Simple,
    handmade,
    never_runs,
    wrapping,
)
from support.inside import inside

hookimpl = certcore.hookimpl


def _core(*plugins):
    return CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=FrozenEnvironment())


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_work_is_said_at_load(what, caplog):
    """The failure has the plugin's name, the cause, and what to do; it is logged; the plugin beside it works."""
    plugin, reason, advice = BROKEN[what]
    healthy = ScriptedCA([Act.ISSUE], now=FrozenEnvironment().now())
    with caplog.at_level(logging.ERROR), _core(plugin, healthy.plugin()) as core:
        (failure,) = core.plugin_failures
        own = getattr(type(plugin), "name", None)
        named = own if isinstance(own, str) else getattr(plugin, "__name__", type(plugin).__name__)
        assert failure.plugin == named
        assert reason in failure.reason
        assert advice in failure.advice
        assert reason in caplog.text
        assert set(core.authorities.modules()) == {"scripted"}


def test_a_plugin_that_compares_and_hashes_badly_is_loaded():
    """An attrs object, which has no hash, or one whose __eq__ raises, is a plugin like any other."""

    @attrs.define
    class Unhashable:  # noqa: PLW1641 - that is the point
        @hookimpl
        def certcore_ca_modules(self):
            return [Simple()]

        @property
        def health(self):
            raise RuntimeError("not started")

        def __eq__(self, other):
            raise RuntimeError

    with CertCore.in_memory(plugins=[Unhashable()], environment=FrozenEnvironment()) as core:
        assert core.plugin_failures == ()
        assert {"simple", "puq_acme"} <= set(core.authorities.modules())


class _Abstract(CAModule):
    name = "abstract"
    title = "Abstract"
    profile_type = LoadedProfile

    def hints(self, view, context):
        return []


class _Forgetful:
    @hookimpl
    def certcore_ca_modules(self):
        return [_Abstract()]


def test_python_says_what_is_missing():
    """An abstract method that is missing is named, with the place; a text of the plugin's own is not shown."""
    with _core(_Forgetful()) as core:
        (failure,) = core.plugin_failures
        assert "abstract" in failure.reason
        assert "advance" in failure.reason
        assert f"{__file__}:" in failure.reason
        assert "certcore_ca_modules" in failure.trace


# -- policies --------------------------------------------------------------------------------------------------------


def _policy(answer):
    return handmade(certcore_authorize=hookimpl(lambda self, actor: answer(actor)))


def _raises(error):
    raise error


class _No:
    def __eq__(self, other):
        return True

    __hash__ = None


@pytest.mark.parametrize(
    "answer",
    [
        lambda actor: "no",
        lambda actor: "yes",
        lambda actor: 1,
        lambda actor: 0,
        lambda actor: [],
        lambda actor: _No(),
        lambda actor: never_runs(None),
        lambda actor: _raises(SystemExit()),
        lambda actor: _raises(RuntimeError("s3cr3t")),
        lambda actor: _raises(CertCoreError("s3cr3t")),
    ],
)
def test_a_policy_without_an_answer_says_no_and_is_logged(answer, caplog):
    """An answer other than True, False or None, or an exception, is a refusal; the log names the policy once."""
    with caplog.at_level(logging.DEBUG), _core(_policy(answer)) as core:
        for _ in range(50):
            with pytest.raises(AccessDeniedError):
                core.authorities.list(actor="anna")
    told = [record for record in caplog.records if "The policy 'Handmade'" in record.getMessage()]
    assert len(told) == 1
    assert "counts as a denial" in told[0].getMessage()
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(("answer", "allowed"), [(True, True), (None, True), (False, False)])
def test_a_policy_that_answers_counts(answer, allowed):
    """True and None permit, False does not."""
    with _core(_policy(lambda actor: answer)) as core:
        if allowed:
            assert core.authorities.list(actor="anna") == []
        else:
            with pytest.raises(AccessDeniedError):
                core.authorities.list(actor="anna")


@pytest.mark.parametrize(
    "policy",
    [
        handmade(certcore_authorize=hookimpl(wrapper=True)(wrapping)),
        handmade(certcore_authorize=hookimpl(never_runs)),
        handmade(certcore_authorize=lambda self, actor: True),
        handmade(certcore_authorise=hookimpl(lambda self, actor: True)),
        handmade(certcore_authorize=hookimpl(lambda self, actor: True), certcore_on_event=hookimpl(never_runs)),
    ],
    ids=["wrapper", "async", "unmarked", "misspelt", "other hook broken"],
)
def test_a_policy_that_cannot_be_loaded_opens_no_door(policy, caplog):
    """Nobody may do anything until it is repaired, and the failure says so; certificates are looked after."""
    ca = ScriptedCA([Act.ISSUE], now=FrozenEnvironment().now())
    with caplog.at_level(logging.ERROR), _core(ca.plugin(), policy) as core:
        (failure,) = core.plugin_failures
        assert failure.plugin == "Handmade"
        assert "every access is denied" in failure.reason
        with pytest.raises(AccessDeniedError):
            core.authorities.create("x", module="scripted")
        assert "every action is refused" in caplog.text


# -- names -----------------------------------------------------------------------------------------------------------


def test_no_package_takes_the_name_of_a_built_in_plugin(install):
    """An entry point named as one of certcore's is refused, and the failure names its package; ours is there."""
    install("evil", ["puq_acme = evil_ca"], evil_ca=HOUSE.format(name="evil", title="Evil"))
    with CertCore.in_memory() as core:
        assert core.authorities.modules()["puq_acme"].title == "PUQ ACME"
        assert "evil" not in core.authorities.modules()
        (failure,) = core.plugin_failures
        assert failure.plugin == "puq_acme (evil 1.0)"
        assert "belongs to certcore" in failure.reason


@pytest.mark.parametrize("entry", ["aaa", "zzz"])
def test_no_plugin_takes_the_name_of_a_built_in_module(install, entry):
    """A module named as ours is refused under whatever entry point; ours is there, and is not blamed."""
    install("evil", [f"{entry} = evil_ca"], evil_ca=HOUSE.format(name="puq_acme", title="Evil"))
    with CertCore.in_memory() as core:
        assert core.authorities.modules()["puq_acme"].title == "PUQ ACME"
        (failure,) = core.plugin_failures
        assert failure.plugin == entry
        assert "'puq_acme' belongs to certcore" in failure.reason


def test_a_plugin_that_is_handed_in_takes_no_built_in_name():
    """By its own name or that of its module: ours is there."""
    named = Offering(certcore_ca_modules=[type("Evil", (Simple,), {"name": "puq_acme"})()])
    hidden = handmade(name="puq_acme", certcore_ca_modules=hookimpl(lambda self: [Simple()]))
    with CertCore.in_memory(plugins=[named, hidden]) as core:
        assert core.authorities.modules()["puq_acme"].title == "PUQ ACME"
        assert [failure.plugin for failure in core.plugin_failures] == ["puq_acme", "offering"]
        assert all("belongs to certcore" in failure.reason for failure in core.plugin_failures)


def test_the_first_keeps_a_name(install):
    """Of two packages with one name, of two modules, of two objects and of two formats, the second is refused."""
    install("alpha", ["house = alpha_ca"], alpha_ca=HOUSE.format(name="house", title="First"))
    install("beta", ["house = beta_ca"], beta_ca=HOUSE.format(name="beta", title="Second"))
    install("zeta", ["zeta = zeta_ca"], zeta_ca=HOUSE.format(name="house", title="Third"))
    with CertCore.in_memory() as core:
        assert core.authorities.modules()["house"].title == "First"
        assert [failure.plugin for failure in core.plugin_failures] == ["house (beta 1.0)", "zeta"]
    twice = [ExportFormat(name="two", title=one, private_key=Use.NEVER, make=_files) for one in ("First", "Second")]
    first, second = (Offering(certcore_export_formats=[one]) for one in twice)
    second.name = "second"
    third = Offering()
    with _core(first, second, third) as core:
        (offered,) = [export_format for export_format in core.certificates.formats() if export_format.name == "two"]
        assert str(offered.title) == "First"
        assert [failure.plugin for failure in core.plugin_failures] == ["offering", "second"]


def _files(material, options):
    return [ExportedFile(name="a", content=b"")]


def test_the_order_of_calls_gives_nobody_a_name():
    """A plugin that asks to be called first, or last, does not come before the one that was there."""
    for wish in ({"tryfirst": True}, {"trylast": True}):
        late = handmade(name="late", certcore_ca_modules=hookimpl(**wish)(lambda self: [_titled("Late")]))
        with _core(Offering(certcore_ca_modules=[_titled("Early")]), late) as core:
            assert core.authorities.modules()["simple"].title == "Early"
            assert [failure.plugin for failure in core.plugin_failures] == ["late"]


def _titled(title):
    return type("Titled", (Simple,), {"title": title})()


# -- installed plugins -----------------------------------------------------------------------------------------------


def test_imports_that_fail_are_told_with_their_place(install):
    """An exit, wrong syntax, a missing module, attribute or argument: each with its cause; ours still work."""
    entry_points = [f"{name} = {entry}" for name, (entry, *_) in IMPORTS.items()]
    install("broken", entry_points, **IMPORTED)
    with CertCore.in_memory() as core:
        assert "puq_acme" in core.authorities.modules()
        told = {failure.plugin: failure for failure in core.plugin_failures}
    for name, (_, _, reason, advice) in IMPORTS.items():
        assert reason in told[name].reason
        assert advice in told[name].advice
    for name, place in {"exits": "broken_exits.py:2", "syntax": "broken_syntax.py:2"}.items():
        assert place in told[name].reason
    assert "broken_arguments.py:3" in told["arguments"].reason
    assert "s3cr3t" not in repr(told)
    assert set(told) == set(IMPORTS)


def test_metadata_that_cannot_be_read_hides_no_plugin(install):
    """A package whose entry points are no text that Python knows costs the others nothing."""
    install("muddled", ["this line has no equals sign"])
    install("house", ["house = good_ca"], good_ca=HOUSE.format(name="house", title="House"))
    with CertCore.in_memory() as core:
        assert {"house", "puq_acme"} <= set(core.authorities.modules())


# -- keyrings --------------------------------------------------------------------------------------------------------


class _Keyring:
    """A keyring of which something is broken."""

    current_key_id = "one"
    key_ids = frozenset({"one"})

    def __init__(self, **broken):
        self.__dict__.update(broken)

    def wrap(self, data_key, *, bound_to):
        return "one", data_key

    def unwrap(self, key_id, wrapped_key, *, bound_to):
        return wrapped_key


def _broken(*given, **named):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"wrap": _broken}, "Keyring.wrap: it raised SystemExit"),
        ({"wrap": lambda key, bound_to: key}, "Keyring.wrap: it returned a bytes"),
        ({"wrap": lambda key, bound_to: ("one", "text")}, "where bytes belongs"),
        ({"unwrap": _broken}, "Keyring.unwrap: it raised SystemExit"),
        ({"key_ids": None}, "Keyring.key_ids: it returned a None"),
    ],
)
def test_a_keyring_that_breaks_is_named(broken, says):
    """Whatever a keyring raises or returns, it is an error of certcore that names it."""
    with pytest.raises(PluginError) as caught:
        _seal_and_open(_Keyring(**broken))
    assert "'_Keyring'" in caught.value.message
    assert says in caught.value.message


def _seal_and_open(keyring):
    name = SecretName("document", "x")
    with CertCore.in_memory(keyring=keyring, installed_plugins=False) as core:
        inside(core).vault.open(inside(core).vault.seal(Secret(b"x"), name), name)
        core.sealing_keys.status()


@pytest.mark.parametrize("opened", [lambda url: "no keyring", lambda url: _broken(), lambda url: never_runs(None)])
def test_a_keyring_plugin_that_breaks_is_named(tmp_path, opened):
    """Opening the store ends with an error that names the plugin, not with the plugin's own."""
    plugin = handmade(certcore_open_keyring=hookimpl(lambda self, url: opened(url)))
    with pytest.raises(PluginError, match="'Handmade' failed in certcore_open_keyring"):
        CertCore.open(f"sqlite:///{tmp_path}/c.db", keyring="vault:x", plugins=[plugin], installed_plugins=False)


def test_no_plugin_answers_for_a_keyring_of_certcore(tmp_path):
    """The URL of a hardware token, which holds its PIN, is asked of certcore's own plugin first."""
    asked = []
    plugin = handmade(certcore_open_keyring=hookimpl(lambda self, url: asked.append(url)))
    with pytest.raises(KeyringError):
        CertCore.open(f"sqlite:///{tmp_path}/c.db", keyring="pkcs11:token=none?pin-value=1234", plugins=[plugin])
    with pytest.raises(KeyringError):
        CertCore.open(f"sqlite:///{tmp_path}/c.db", keyring="env:CERTCORE_NOT_SET", plugins=[plugin])
    assert asked == []
