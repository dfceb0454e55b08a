"""Every hook does what its documentation says, and no plugin takes the core down."""

import logging
import sys
import textwrap

import pytest
from attrs import field, frozen

import certcore
from certcore import CertCore, hookspecs
from certcore.adapters.keyrings.vault import StaticKeyring
from certcore.errors import KeyringError, NotFoundError, PluginError, UnknownModuleError, ZoneWriteError
from certcore.model.export import ExportedFile, ExportFormat, Use
from certcore.model.hints import Level, Message, Notice
from certcore.model.permissions import NEEDED
from certcore.ports.zone_writers import TxtChange, ZoneServer
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.translations import OWN_CATALOGUE
from support.inside import inside


class Complete:
    """Implements every hook, and writes down what it was given."""

    def __init__(self, ca):
        self.ca, self.events, self.asked, self.views, self.checked = ca, [], [], [], []

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.ca]

    @certcore.hookimpl
    def certcore_hints(self, view):
        self.views.append(view)
        yield Notice(Level.INFO, Message("plugin.hint", "from a plugin"))

    @certcore.hookimpl
    def certcore_export_formats(self):
        yield ExportFormat(name="names", title="The names", private_key=Use.NEVER, make=_names)

    @certcore.hookimpl
    def certcore_on_event(self, event, certificates):
        assert certificates.view(event.certificate_id).certificate.id == event.certificate_id
        self.events.append(event)

    @certcore.hookimpl
    def certcore_catalogues(self):
        return [OWN_CATALOGUE]

    @certcore.hookimpl
    def certcore_check_targets(self, certificate_id, certificates):
        self.checked.append(certificates.view(certificate_id).certificate.id)
        yield from ()

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject):
        self.asked.append((actor, action, subject))

    @certcore.hookimpl
    def certcore_open_keyring(self, url):
        return StaticKeyring.generate() if url == "vault:secret/certcore" else None

    @certcore.hookimpl
    def certcore_zone_writers(self):
        return [PanelWriter("panel")]

    @certcore.hookimpl
    def certcore_controls_name(self, owner, name):
        return owner == "anna" and name == "shop.example"


class Broken:
    """Raises in every hook, with a secret in the text."""

    def _raise(self):
        raise RuntimeError("s3cr3t")

    @certcore.hookimpl
    def certcore_ca_modules(self):
        self._raise()

    @certcore.hookimpl
    def certcore_hints(self, view):
        self._raise()

    @certcore.hookimpl
    def certcore_export_formats(self):
        self._raise()

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self._raise()


ZONE_SERVER = ZoneServer("192.0.2.1")


@frozen
class PanelWriter:
    """Writes TXT values into a panel's own DNS."""

    name: str
    one_at_a_time: bool = False
    written: list = field(factory=list)

    def write(self, zone, changes, *, ttl):
        self.written.append((zone, tuple(changes), ttl))

    def servers(self, zone):
        return [ZONE_SERVER]


def _names(material, options):
    return [ExportedFile(name="names.txt", content=material.domain.encode())]


def _ca():
    return ScriptedCA([Act.ISSUE], now=FrozenEnvironment().now())


def _core(*plugins, **options):
    return CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=FrozenEnvironment(), **options)


def test_every_hook_has_an_implementation_here():
    """The plugin of these tests implements all hooks that there are: none goes untried."""
    hooks = {name for name in hookspecs.__all__ if name.startswith("certcore_")}
    assert hooks == {name for name in vars(Complete) if name.startswith("certcore_")}


def test_hooks_get_what_is_documented():
    """A plugin's module issues; its hints come after the module's; it sees every committed event, in order."""
    plugin = Complete(_ca())
    with _core(plugin) as core:
        authority = core.authorities.create("test", module="scripted", actor="root")
        certificate_id = core.certificates.create("shop.example", authority=authority.id, actor="alice").id
        core.certificates.generate_csr(certificate_id, actor="bob")
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        assert worker.wait_until_idle(timeout=120)
        worker.stop()
        assert core.certificates.preflight(certificate_id).readiness.is_ready
        assert plugin.checked == [certificate_id]
        assert core.certificates.hints(certificate_id)[-1].text.key == "plugin.hint"
        assert plugin.views[-1] == core.certificates.view(certificate_id)
        assert [file.content for file in core.certificates.export(certificate_id, "names").files] == [b"shop.example"]
        assert plugin.events == list(core.certificates.timeline(certificate_id))
        assert [event.kind for event in plugin.events] == ["created", "csr_generated", "installed"]
        assert plugin.asked[:4] == [
            ("root", "authority.create", ""),
            ("alice", "certificate.create", ""),
            ("alice", "authority.use", authority.id),
            ("bob", "certificate.generate_csr", certificate_id),
        ]
        viewed = {("system", "certificate.view", certificate_id), ("system", "authority.view", authority.id)}
        offered = {
            ("system", str(permission), certificate_id) for permission in NEEDED.values()
        }  # what the page may offer
        offered |= {("system", "certificate.deliveries", certificate_id)}
        assert set(plugin.asked[4:]) == viewed | offered
        assert core.plugin_failures == ()


def test_a_plugin_opens_its_own_keyring(tmp_path):
    """A keyring URL of another kind goes to the plugins; one that nobody knows is refused with advice."""
    url = f"sqlite:///{tmp_path}/certcore.db"
    plugin = Complete(_ca())
    CertCore.open(url, keyring="vault:secret/certcore", plugins=[plugin], installed_plugins=False).close()
    with pytest.raises(KeyringError) as caught:
        CertCore.open(url, keyring="hsm:slot-1", plugins=[plugin], installed_plugins=False)
    assert "'hsm'" in str(caught.value)
    assert caught.value.advice


def test_a_broken_plugin_hurts_nobody_else(caplog):
    """One that raises everywhere is reported by name without its text; the other one works as if it were not there."""
    broken, complete = Broken(), Complete(_ca())
    with caplog.at_level(logging.DEBUG), _core(broken, complete) as core:
        (failure,) = core.plugin_failures
        assert failure.plugin == "Broken"
        authority = core.authorities.create("test", module="scripted")
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id
        core.certificates.generate_csr(certificate_id)
        worker = core.worker(threads=2, poll_interval=0.01)
        worker.start()
        assert worker.wait_until_idle(timeout=120)
        worker.stop()
        assert core.certificates.get(certificate_id).status == "active"
        assert core.certificates.hints(certificate_id)[-1].text.key == "plugin.hint"
        assert len(complete.events) == 3
        assert "names" in {offered.name for offered in core.certificates.formats()}
        assert "s3cr3t" not in caplog.text + repr(core.plugin_failures)
        assert "Broken" in caplog.text


class Misspelt:
    """Implements a hook that does not exist."""

    @certcore.hookimpl
    def certcore_on_evnet(self, event):
        """Never called."""


class Misfit:
    """Asks for an argument that the hook does not have."""

    @certcore.hookimpl
    def certcore_on_event(self, event, surprise):
        """Never called."""


class NotAModule:
    """Registers something that is no CA module."""

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return ["scripted"]


class Second:
    """Registers a module under a name that is taken."""

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [_ca()]


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [(Misspelt(), "unknown hook"), (Misfit(), "does not fit"), (NotAModule(), "not a CAModule"), (Second(), "taken")],
)
def test_what_a_plugin_does_wrong_is_said(plugin, reason):
    """A misspelt hook, a wrong signature, a wrong type and a name that is taken are reported with the plugin's name."""
    with _core(_ca().plugin(), plugin) as core:
        (failure,) = core.plugin_failures
        assert failure.plugin == type(plugin).__name__
        assert reason in failure.reason
        assert set(core.authorities.modules()) == {"scripted"}


def test_an_installed_plugin_that_cannot_be_imported(tmp_path, monkeypatch):
    """An entry point that fails to import is reported by its name, and the installed module still works."""
    info = tmp_path / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[certcore]\nbroken = broken_plugin_of_a_test\nmissing = no_such_module_at_all\n"
    )
    (tmp_path / "broken_plugin_of_a_test.py").write_text("raise OSError('no licence key s3cr3t')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with CertCore.in_memory() as core:
        assert {failure.plugin for failure in core.plugin_failures} == {"broken", "missing"}
        assert "s3cr3t" not in repr(core.plugin_failures)
        assert "puq_acme" in core.authorities.modules()


def test_the_first_module_comes_as_an_installed_plugin():
    """PUQ ACME is found through its entry point like any other, and can be left out."""
    with CertCore.in_memory() as core:
        assert core.authorities.modules()["puq_acme"].title == "PUQ ACME"
    with CertCore.in_memory(installed_plugins=False) as core:
        assert core.authorities.modules() == {}
        with pytest.raises(UnknownModuleError):
            core.authorities.create("ca", module="puq_acme")


def test_a_module_file_can_be_a_plugin(tmp_path, monkeypatch):
    """A plain Python module with marked functions is a plugin, too."""
    (tmp_path / "observer_of_a_test.py").write_text(
        textwrap.dedent(
            """
            import certcore

            seen = []

            @certcore.hookimpl
            def certcore_on_event(event):
                seen.append(event.kind)
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    import observer_of_a_test

    with _core(_ca().plugin(), observer_of_a_test) as core:
        authority = core.authorities.create("test", module="scripted")
        core.certificates.create("shop.example", authority=authority.id)
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        assert worker.wait_until_idle(timeout=120)
        worker.stop()
    assert observer_of_a_test.seen == ["created"]
    del sys.modules["observer_of_a_test"]


class _Writers:
    """Brings some objects as writers of TXT values."""

    def __init__(self, *writers, name="writers"):
        self.name, self.writers = name, writers

    @certcore.hookimpl
    def certcore_zone_writers(self):
        return self.writers


class _Without:
    """Lacks a part of a writer, or has a wrong one."""

    def __init__(self, **wrong):
        good = PanelWriter("panel")
        parts = {name: getattr(good, name) for name in ("name", "one_at_a_time", "write", "servers")}
        vars(self).update({name: part for name, part in (parts | wrong).items() if part is not None})


def test_a_writer_of_txt_values_is_called_under_its_plugins_name():
    """CA modules find it by its name; what it raises is told as the plugin's failure, its own refusals as they are."""
    writer = PanelWriter("panel")
    with _core(_Writers(writer)) as core:
        found = inside(core).plugins.zone_writers["panel"]
        change = TxtChange(name="label.acme.panel.test", values=("value",))
        found.write("acme.panel.test", [change], ttl=30)
        assert writer.written == [("acme.panel.test", (change,), 30)]
        assert found.servers("acme.panel.test") == (ZONE_SERVER,)

    def refuse(zone, changes, *, ttl):
        raise ZoneWriteError("192.0.2.1", zone, "is full")

    def break_down(zone, changes, *, ttl):
        raise RuntimeError("s3cr3t")

    for write, kind in ((refuse, ZoneWriteError), (break_down, PluginError)):
        with _core(_Writers(_Without(write=write))) as core, pytest.raises(kind) as caught:
            inside(core).plugins.zone_writers["panel"].write("acme.panel.test", [], ttl=30)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"look_up": lambda name: None}, "set_cname"),
        ({"name": "Panel DNS"}, "lower-case letters"),
        ({"one_at_a_time": None}, "one_at_a_time"),
        ({"write": None}, "no method write"),
        ({"servers": lambda: [ZONE_SERVER]}, "does not fit"),
        ({"write": lambda zone, changes: None}, "does not fit"),
    ],
    ids=["half a power", "name", "one_at_a_time", "no write", "servers", "write"],
)
def test_a_writer_that_cannot_work_is_refused_when_it_is_loaded(wrong, reason):
    """What is wrong with it is told in plugin_failures, with what certcore calls."""
    with _core(_Writers(_Without(**wrong))) as core:
        (failure,) = core.plugin_failures
        assert reason in failure.reason
        assert failure.advice
        assert dict(inside(core).plugins.zone_writers) == {}


def test_the_first_writer_keeps_its_name():
    """Of two with one name, the second is left out and told."""
    first, second = PanelWriter("panel"), PanelWriter("panel")
    with _core(_Writers(first), _Writers(second, name="others")) as core:
        inside(core).plugins.zone_writers["panel"].write("acme.panel.test", [], ttl=30)
        assert (len(first.written), len(second.written)) == (1, 0)
        (failure,) = core.plugin_failures
        assert failure.plugin == "others"
        assert "taken" in failure.reason


class _Says:
    """Has an opinion on who controls a name."""

    def __init__(self, answer, name="says"):
        self.name, self.answer, self.asked = name, answer, []

    @certcore.hookimpl
    def certcore_controls_name(self, owner, name):
        self.asked.append((owner, name))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([], None),
        ([None], None),
        ([True], True),
        ([False], False),
        ([None, True], True),
        ([True, None], True),
        ([True, False], False),
        ([False, True], False),
    ],
)
def test_who_controls_a_name(answers, outcome):
    """The panel's plugins say so; without a word it is nobody, and one no is a no."""
    plugins = [_Says(answer, f"says-{number}") for number, answer in enumerate(answers)]
    with _core(*plugins) as core:
        assert inside(core).plugins.controls_name("anna", "shop.example") is outcome
    assert all(plugin.asked in ([], [("anna", "shop.example")]) for plugin in plugins)


@pytest.mark.parametrize(
    "answer", [1, 0, "yes", "", [True], object(), RuntimeError("s3cr3t"), SystemExit("s3cr3t"), NotFoundError("a", "b")]
)
def test_anything_but_a_plain_answer_about_a_name_is_a_failure(answer):
    """What cannot be understood is told as the plugin's failure, whatever another plugin says: it is no yes."""
    with _core(_Says(True, "first"), _Says(answer, "odd"), _Says(True, "last")) as core:
        with pytest.raises(PluginError) as caught:
            inside(core).plugins.controls_name("anna", "shop.example")
        assert caught.value.plugin == "odd"
        assert "s3cr3t" not in str(caught.value)
