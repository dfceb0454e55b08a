"""What is installed, what it brings and what is wrong with it; and how a plugin is switched off."""

import importlib
import logging

import pytest

import certcore
from certcore import CertCore
from certcore.errors import AccessDeniedError, InvalidInputError, UnknownModuleError
from certcore.plugin import API_LEVEL, PluginState
from certcore.testing import FrozenEnvironment, ScriptedCA

_OBSERVER = """
import certcore

{more}

@certcore.hookimpl
def certcore_on_event(event):
    pass
"""
_HOUSE = """
import certcore
from certcore.plugin import SigningCA, NoSettings

class House(SigningCA[NoSettings, NoSettings]):
    name = "house"
    title = "House"

    def sign(self, csr, context):
        return ""

@certcore.hookimpl
def certcore_ca_modules():
    return [House()]
"""
_FAILS = """
def read():
    raise ValueError("a password that nobody should read")

try:
    read()
except ValueError:
    import certcore.no_such_module
"""


class Policy:
    """Denies everything."""

    name = "policy"

    @certcore.hookimpl
    def certcore_authorize(self):
        return False


def _infos(core):
    return {info.name: info for info in core.plugins}


def test_every_plugin_is_listed_with_what_it_brings(install):
    """Own, installed and handed-in plugins are listed with package, version, hooks and the names of what they bring."""
    install("house-ca", ["house = house_ca"], house_ca=_HOUSE)
    install("watcher", ["watch = watcher"], watcher=_OBSERVER.format(more="certcore_api = 1"))
    ca = ScriptedCA(now=FrozenEnvironment().now())
    with CertCore.in_memory(plugins=[ca.plugin()]) as core:
        infos = _infos(core)
        assert all(info.state is PluginState.LOADED and info.failure is None for info in infos.values())
    assert infos["puq_acme"].is_own
    assert (infos["puq_acme"].package, infos["puq_acme"].version) == ("certcore", certcore.__version__)
    assert infos["puq_acme"].ca_modules == ("puq_acme",)
    house = infos["house"]
    assert (house.package, house.version, house.is_own) == ("house-ca", "1.0", False)
    assert (house.ca_modules, house.hooks, house.api_level) == (("house",), ("certcore_ca_modules",), 1)
    assert infos["watch"].hooks == ("certcore_on_event",)
    (scripted,) = [info for info in infos.values() if info.ca_modules == ("scripted",)]
    assert (scripted.package, scripted.version) == ("", "")


def test_what_failed_is_listed_with_its_cause(install):
    """A plugin that fails is listed with its package, the reason and the chain of causes, without their texts."""
    install("broken", ["broken = broken_plugin"], broken_plugin=_FAILS)
    with CertCore.in_memory() as core:
        info = _infos(core)["broken"]
    assert (info.state, info.package, info.version) == (PluginState.FAILED, "broken", "1.0")
    assert "no_such_module" in info.failure.reason
    assert "broken_plugin.py" in info.failure.reason
    assert "caused by ValueError" in info.failure.trace
    assert "in read" in info.failure.trace
    assert "password" not in f"{info.failure.reason} {info.failure.advice} {info.failure.trace}"


def test_a_plugin_may_be_handed_in_and_installed(install):
    """The tests of an installed package hand its module to certcore: it is one plugin, and no name is taken."""
    install("alpha", ["alpha_ca = alpha_ca"], alpha_ca=_HOUSE)
    alpha_ca = importlib.import_module("alpha_ca")
    with CertCore.in_memory(plugins=[alpha_ca]) as core:
        assert core.plugin_failures == ()
        assert _infos(core)["alpha_ca"].state is PluginState.LOADED
        assert sorted(core.authorities.modules()) == ["house", "puq_acme"]


def test_two_of_one_name_are_named_with_their_packages(install):
    """The refused one, and the reason, name both packages and versions."""
    install("alpha", ["house = alpha_ca"], alpha_ca=_HOUSE)
    install("beta", ["house = beta_ca"], beta_ca=_HOUSE)
    install("gamma", ["other = gamma_ca"], gamma_ca=_HOUSE)
    with CertCore.in_memory() as core:
        infos = _infos(core)
    assert infos["house"].state is PluginState.LOADED
    refused = infos["house (beta 1.0)"]
    assert (refused.state, refused.package) == (PluginState.FAILED, "beta")
    assert refused.failure.reason.endswith("already taken by the plugin 'house' of the package alpha 1.0.")
    assert "taken by the plugin 'house' of the package alpha 1.0" in infos["other"].failure.reason
    assert (infos["other"].state, infos["other"].ca_modules) == (PluginState.LOADED, ())


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (API_LEVEL, ""),
        (
            API_LEVEL + 1,
            f"needs version {API_LEVEL + 1} of the plugin interface; this certcore has version {API_LEVEL}",
        ),
        (0, "must be a whole number from 1"),
        ('"1"', "must be a whole number from 1"),
        (True, "must be a whole number from 1"),
    ],
)
def test_the_version_of_the_interface_is_checked(install, level, words):
    """A plugin for a newer plugin interface, or one that declares nonsense, is left out and says why."""
    install("watcher", ["watch = watcher"], watcher=_OBSERVER.format(more=f"certcore_api = {level}"))
    with CertCore.in_memory() as core:
        info = _infos(core)["watch"]
        assert ("watch" in core.observers) is not bool(words)
    assert (info.failure is None) is not bool(words)
    assert words in (info.failure.reason if info.failure else "")


def test_a_disabled_plugin_is_not_imported(install, caplog):
    """By its name a plugin is switched off, whatever it would do; what it brings is missing, and the log says so."""
    caplog.set_level(logging.INFO, logger="certcore")
    install("exits", ["exits = exits"], exits="import sys; sys.exit(3)")
    install("house-ca", ["house = house_ca"], house_ca=_HOUSE)
    with CertCore.in_memory(disabled_plugins=["exits", "house"]) as core:
        assert core.plugin_failures == ()
        assert "house" not in core.authorities.modules()
        with pytest.raises(UnknownModuleError) as refusal:
            core.authorities.create("house", module="house")
        assert refusal.value.advice.endswith("Plugins that are disabled: exits, house.")
        infos = _infos(core)
    assert [infos[name].state for name in ("exits", "house")] == [PluginState.DISABLED] * 2
    assert infos["house"].package == "house-ca"
    assert "The plugin 'house' is disabled." in caplog.messages


def test_plugins_are_disabled_by_the_environment(install, monkeypatch, caplog):
    """CERTCORE_DISABLED_PLUGINS has names besides those of the program; a name that nobody has is logged."""
    monkeypatch.setenv("CERTCORE_DISABLED_PLUGINS", " house, ,nobody")
    install("house-ca", ["house = house_ca"], house_ca=_HOUSE)
    with CertCore.in_memory(disabled_plugins=["puq_acme"]) as core:
        infos = _infos(core)
        assert core.authorities.modules() == {}
    assert {name for name, info in infos.items() if info.state is PluginState.DISABLED} == {"house", "puq_acme"}
    assert any("nobody" in message for message in caplog.messages)


def test_a_plugin_that_was_handed_in_is_disabled_but_no_policy(caplog):
    """A policy stays in force whatever the environment says; other plugins that the program hands in are left out."""
    ca = ScriptedCA(now=FrozenEnvironment().now()).plugin()
    disabled = ["_Plugin", "policy"]
    with CertCore.in_memory(plugins=[ca, Policy()], installed_plugins=False, disabled_plugins=disabled) as core:
        infos = _infos(core)
        with pytest.raises(AccessDeniedError):
            core.authorities.create("test", module="scripted", actor="anna")
    assert infos["_Plugin"].state is PluginState.DISABLED
    assert infos["policy"].state is PluginState.LOADED
    assert "cannot be disabled by name" in infos["policy"].failure.reason


@pytest.mark.parametrize("wrong", ["house", b"house", [1]])
def test_what_is_no_list_of_names_is_refused(wrong):
    """One text instead of a list is a mistake that would switch nothing off."""
    with pytest.raises(InvalidInputError) as refusal:
        CertCore.in_memory(disabled_plugins=wrong)
    assert refusal.value.field == "disabled_plugins"
