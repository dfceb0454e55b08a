"""``certcore plugin``: list and check installed plugins, and make the package of a new plugin."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import frozen

from certcore.cli.arguments import Settings, pair, values_of
from certcore.cli.new_plugin import PluginKind, make_plugin
from certcore.cli.options import FAILED, Json
from certcore.cli.output import Output, facts, plain, reporting, table
from certcore.core import CertCore
from certcore.errors import InvalidInputError
from certcore.ports.plugins import PluginInfo, PluginState
from certcore.ports.zone_writers import ZoneServer, ZoneWriter

if TYPE_CHECKING:
    from rich.console import Console

    from certcore.testing.conformance import ConformanceReport

__all__ = ["plugins"]

plugins = typer.Typer(
    no_args_is_help=True, help="Plugins: CA modules, observers, policies, writers, formats, keyrings."
)

_STYLES = {PluginState.LOADED: "green", PluginState.FAILED: "bold red", PluginState.DISABLED: "dim"}
Name = Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name, from `plugin list`.")]
_TELLS = (
    "Also tell its observer of the events of a certificate for tenant-1.shop.test; it does what it always does then."
)
TellObserver = Annotated[bool, typer.Option("--tell-observer", help=_TELLS)]


_SETUP = (
    "A ModuleSetup or WrittenZone of certcore.testing, or a function that returns one: what the suites need to see."
)
#: By hook: the subject of the suite that checks it (empty without a suite), and the text if no suite has checked it.
_UNCHECKED = {
    "certcore_on_event": (
        "observer",
        "The observer was not checked: give --tell-observer.",
    ),
    "certcore_open_keyring": ("keyring", "The keyring was not checked: give --keyring-url."),
    "certcore_hints": ("", "Hints have no suite."),
    "certcore_catalogues": ("", "Translations have no suite: see certcore.testing.CatalogueFiles."),
    "certcore_check_targets": ("", "Checks of targets have no suite."),
    "certcore_controls_name": ("", "Control of names has no suite."),
}


@plugins.command("list")
def list_plugins(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show the hooks, and where a plugin failed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the installed plugins with what they bring, and what is wrong with them. No database is needed."""
    with reporting(as_json=as_json) as output:
        infos = _installed()
        document = {"plugins": [_document(info) for info in infos]}

        def draw(to: Console) -> None:
            rows = [(info.name, _state(info), _package(info), _brings(info)) for info in infos]
            to.print(table(("NAME", "STATE", "PACKAGE", "BRINGS"), rows))
            for info in infos:
                if verbose:
                    to.print()
                    _draw(to, info)
                elif info.failure is not None:
                    to.print(f"{plain(info.name)}: {plain(info.failure.reason)}", style="red", soft_wrap=True)

        output.result(document, draw)


@plugins.command("show")
def show(name: Name, as_json: Json = False) -> None:
    """Show one plugin. Exit code 1 when something is wrong with it."""
    with reporting(as_json=as_json) as output:
        info = _named(name)
        output.result(_document(info), lambda to: _draw(to, info))
        if info.failure is not None:
            raise typer.Exit(FAILED)


@plugins.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the project, for example house-ca.")],
    kind: Annotated[PluginKind, typer.Option("--kind", help="What the plugin brings.")],
    folder: Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Where its folder is made.")] = Path(),
    as_json: Json = False,
) -> None:
    """Make the package of a new plugin, with tests that pass: a start for one of your own."""
    with reporting(as_json=as_json) as output:
        made = make_plugin(name, kind, folder)
        project = folder / name
        document = {"project": str(project), "kind": str(kind), "files": [str(path) for path in made]}

        def draw(to: Console) -> None:
            for path in made:
                to.print(plain(str(path)), soft_wrap=True)
            to.print(f"Next: pip install -e '{plain(str(project))}[test]', then pytest in {plain(str(project))}")

        output.result(document, draw)


@plugins.command("check")
def check(
    name: Name,
    *,
    settings: Settings = None,
    tell: TellObserver = False,
    keyring_url: Annotated[
        str, typer.Option("--keyring-url", metavar="URL", help="A keyring that the plugin opens, to check it, too.")
    ] = "",
    zone: Annotated[
        str,
        typer.Option("--zone", metavar="ZONE", help="A zone that its zone writers may write to."),
    ] = "",
    server: Annotated[
        str, typer.Option("--server", metavar="ADDRESS[:PORT]", help="The name server that shows what they write.")
    ] = "",
    setup: Annotated[str, typer.Option("--setup", metavar="MODULE:NAME", help=_SETUP)] = "",
    as_json: Json = False,
) -> None:
    """Check that a plugin is loaded without a fault, and run the conformance suites on what it brings, in memory.

    There are suites for CA modules, zone writers (with --zone or --setup; without, a few rules are checked), observers
    (with --tell-observer), policies, export formats and keyrings (with --keyring-url). No hook registers a store: with
    --setup and a StoreSetup one is checked, too. Give the settings of a CA
    profile that works with --set when the CA module has required ones. Exit code 1 when a rule is broken.
    """
    pairs = [pair(setting) for setting in settings or ()]
    with reporting(as_json=as_json) as output:
        info = _named(name)
        is_sound = info.state is PluginState.LOADED and info.failure is None
        options = _SuiteOptions(tell=tell, keyring_url=keyring_url, zone=zone, server=server, setup=setup)
        report = _conformance(info, pairs, output, options) if is_sound else None
        is_ok = is_sound and (report is None or report.ok)
        results = [] if report is None else report.to_json()["results"]
        unchecked = [] if report is None else _unchecked(info, report)

        def draw(to: Console) -> None:
            _draw(to, info)
            to.print()
            if report is not None and report.results:
                to.print(plain(report.text(), lines=True), soft_wrap=True)
            elif is_sound:
                to.print("It is loaded without a fault. No suite was run.")
            for text in unchecked:
                to.print(plain(text), soft_wrap=True)

        output.result({"plugin": _document(info), "ok": is_ok, "results": results, "not_checked": unchecked}, draw)
        if not is_ok:
            raise typer.Exit(FAILED)


@frozen(kw_only=True)
class _SuiteOptions:
    """The options of the command that concern the suites."""

    tell: bool
    keyring_url: str
    zone: str
    server: str
    setup: str


def _conformance(
    info: PluginInfo, pairs: Sequence[tuple[str, str]], output: Output, options: _SuiteOptions
) -> ConformanceReport:
    from certcore.testing import conformance  # noqa: PLC0415 - the test kit is for those who ask for it

    values = _settings(info, pairs)
    servers = [_name_server(options.server)] if options.server else []

    def see_zone(writer: ZoneWriter) -> conformance.WrittenZone:
        return conformance.seen_by_dns(writer, options.zone, servers)

    with ExitStack() as stack:
        setups = [stack.enter_context(conformance.named_setup(options.setup))] if options.setup else []
        output.note("Running the conformance suites …", "dim")
        return conformance.run(
            info.name,
            settings=values or None,
            tell_observer=options.tell,
            keyring_url=options.keyring_url,
            see_zone=see_zone if options.zone else None,
            instead=setups,
        )


def _name_server(text: str) -> ZoneServer:
    """Parse ``ADDRESS``, ``ADDRESS:PORT`` or ``[ADDRESS]:PORT``.

    Raises:
        InvalidInputError: The text has none of these forms.
    """
    is_bare = text.count(":") > 1 and "[" not in text
    address, _, port = (text, "", "") if is_bare else text.rpartition(":") if ":" in text else (text, "", "")
    try:
        return ZoneServer(str(ip_address(address.strip("[]"))), int(port or 53))
    except ValueError:
        raise InvalidInputError("--server", f"{text[:60]!r} is not an IP address with or without a port.") from None


def _unchecked(info: PluginInfo, report: ConformanceReport) -> Sequence[str]:
    """Sentences about the parts of a plugin that no suite has checked, and how to check them."""
    subjects = {str(result.check.subject) for result in report.results}
    texts = [text for hook, (subject, text) in _UNCHECKED.items() if hook in info.hooks and subject not in subjects]
    if any(result.outcome == "not_judged" for result in report.results):
        texts.append("Rules that are not judged: give what they need with --setup MODULE:NAME.")
    return texts


def _settings(info: PluginInfo, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if not pairs:
        return {}
    if len(info.ca_modules) != 1:
        raise InvalidInputError("--set", f"the plugin {info.name} has not exactly one CA module.")
    with CertCore.in_memory() as core:
        return dict(values_of(pairs, core.authorities.module_form(info.ca_modules[0])))


def _installed() -> Sequence[PluginInfo]:
    with CertCore.in_memory() as core:
        return core.plugins


def _named(name: str) -> PluginInfo:
    infos = _installed()
    for info in infos:
        if info.name == name:
            return info
    names = ", ".join(info.name for info in infos) or "none"
    raise InvalidInputError("plugin", f"no plugin named {name[:60]!r} is installed.", advice=f"Installed: {names}.")


def _document(info: PluginInfo) -> dict[str, Any]:
    failure = info.failure
    return {
        "name": info.name,
        "state": str(info.state),
        "is_own": info.is_own,
        "package": info.package,
        "version": info.version,
        "api_level": info.api_level,
        "hooks": list(info.hooks),
        "ca_modules": list(info.ca_modules),
        "zone_writers": list(info.zone_writers),
        "export_formats": list(info.export_formats),
        "failure": None
        if failure is None
        else {"reason": failure.reason, "advice": failure.advice, "trace": failure.trace},
    }


def _draw(to: Console, info: PluginInfo) -> None:
    rows = [
        ("name", info.name),
        ("state", _state(info)),
        ("package", _package(info)),
        ("plugin interface", "" if info.api_level is None else str(info.api_level)),
        ("hooks", ", ".join(info.hooks)),
        ("CA modules", ", ".join(info.ca_modules)),
        ("zone writers", ", ".join(info.zone_writers)),
        ("export formats", ", ".join(info.export_formats)),
    ]
    to.print(facts([(label, value) for label, value in rows if value]))
    if info.failure is not None:
        to.print(plain(info.failure.reason), style="red", soft_wrap=True)
        if info.failure.advice:
            to.print(plain(info.failure.advice), soft_wrap=True)
        if info.failure.trace:
            to.print(plain(info.failure.trace, lines=True), style="dim", soft_wrap=True)


def _state(info: PluginInfo) -> str:
    is_part = info.state is PluginState.LOADED and info.failure is not None
    return "loaded in part" if is_part else str(info.state)


def _package(info: PluginInfo) -> str:
    return f"{info.package} {info.version}".strip()


def _brings(info: PluginInfo) -> str:
    """What a plugin brings, in words."""
    parts = [
        *(f"CA module {name}" for name in info.ca_modules),
        *(f"zone writer {name}" for name in info.zone_writers),
        *(f"export format {name}" for name in info.export_formats),
    ]
    others = [_WORDS[hook] for hook in info.hooks if hook in _WORDS]
    return ", ".join([*parts, *others])


#: Names for the hooks that register nothing by name.
_WORDS = {
    "certcore_authorize": "policy",
    "certcore_catalogues": "translations",
    "certcore_check_targets": "checks of targets",
    "certcore_controls_name": "control of names",
    "certcore_hints": "hints",
    "certcore_on_event": "observer",
    "certcore_open_keyring": "keyring",
}
