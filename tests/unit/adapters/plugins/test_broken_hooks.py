"""Hooks that break their promises: observers, hints and export formats are contained."""

import pytest

import certcore
from certcore import CertCore
from certcore.errors import PluginError
from certcore.model.export import ExportedFile, ExportFormat, Use
from certcore.model.hints import Level, Message, Notice
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.broken_modules import ANYWHERE, HINTS, returning
from support.module_users import activated, in_thread, profile_of


class Hooks:
    """Implements hooks that do what the test says."""

    name = "hooked"

    def __init__(self, does=None):
        self.does = does or returning(())

    @certcore.hookimpl
    def certcore_hints(self, view):
        return self.does(view)

    @certcore.hookimpl
    def certcore_on_event(self, event):
        return self.does(event)


#: What an observer returns does not matter, once it has run.
HARMLESS = {"a text", "a number", "something rude"}


def _good_hint(view):
    return [Notice(Level.INFO, Message("good", "from a good plugin"))]


@pytest.mark.parametrize("what", [*ANYWHERE, *HINTS])
def test_the_hints_of_a_broken_plugin_are_left_out(what):
    """The page shows those of the others; whatever a plugin returns, it is not too much."""
    does, _ = {**ANYWHERE, **HINTS}[what]
    good = Hooks(_good_hint)
    good.name = "good"
    environment = FrozenEnvironment()
    plugins = [Hooks(does), good, ScriptedCA([Act.ISSUE], now=environment.now()).plugin()]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        certificate_id = core.certificates.create("a.example", authority=profile_of(core, "scripted")).id
        shown = []
        assert in_thread(lambda: shown.extend(core.certificates.hints(certificate_id))) is None
        assert "good" in {getattr(getattr(hint, "text", None), "key", "") for hint in shown}
        assert len(shown) < 20


@pytest.mark.parametrize("what", [name for name, case in ANYWHERE.items() if name not in HARMLESS])
def test_an_event_that_an_observer_breaks_on_is_kept(what):
    """The observer is behind, with the reason; the delivering thread lives, and the event comes again."""
    does, words = ANYWHERE[what]
    environment = FrozenEnvironment()
    hooked = Hooks(does)
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[hooked, ca.plugin()], installed_plugins=False, environment=environment) as core:
        certificate_id = core.certificates.create("a.example", authority=profile_of(core, "scripted")).id
        assert in_thread(core.deliver_events) is None
        behind = core.certificates.deliveries(certificate_id).behind["hooked"]
        assert (behind.delivered, behind.attempts) == (0, 1)
        assert words in behind.reason
        taken = []
        hooked.does = taken.append
        environment.set(behind.due_at)
        core.deliver_events()
        assert [event.number for event in taken] == [1]


@pytest.mark.parametrize("what", [*ANYWHERE, "no file", "the key in the open"])
def test_an_export_format_that_breaks_is_named(what):
    """Whatever a format raises or returns, the error names it."""
    does, words = ANYWHERE.get(what, (None, "ExportFormat.make"))
    does = {"no file": returning([]), "the key in the open": _open_key}.get(what, does)
    one = ExportFormat(name="wild", title="Wild", private_key=Use.OPTIONAL, make=lambda *given: does(*given))  # noqa: PLW0108 - seen later than at load

    class Formats:
        @certcore.hookimpl
        def certcore_export_formats(self):
            return [one]

    environment = FrozenEnvironment()
    plugins = [Formats(), ScriptedCA([Act.ISSUE], now=environment.now()).plugin()]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        active = activated(core, profile_of(core, "scripted"))
        error = in_thread(lambda: core.certificates.export(active, "wild", reason="test").files)
        assert isinstance(error, PluginError)
        assert "'wild' failed in ExportFormat.make" in error.message
        assert words in error.message


def _open_key(material, options):
    return [ExportedFile(name="a", content=material.private_key.reveal())]


def test_observers_do_not_share_what_they_are_given():
    """What one observer changes in an event, neither the next one nor the record has."""
    environment = FrozenEnvironment()
    seen = []
    first, second = Hooks(lambda event: event.data.update(mine=1) or event.data.clear()), Hooks(seen.append)
    second.name = "second"
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    plugins = [second, first, ca.plugin()]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        certificate_id = activated(core, profile_of(core, "scripted"))
        core.deliver_events()
        assert seen == list(core.certificates.timeline(certificate_id))
        assert any(event.data for event in seen)
        assert core.certificates.verify_timeline(certificate_id).fault == ""
