"""``certcore authority``: manage CA profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.arguments import Settings, pair, values_of
from certcore.cli.module_actions import report_actions, run_offered
from certcore.cli.module_files import Out, report_files
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import facts, plain, reporting, shown_moment, table
from certcore.cli.render.hints import draw_hints
from certcore.cli.session import open_session, warn_of_plugins
from certcore.core import CertCore
from certcore.model.authority import CertificateAuthority
from certcore.model.form import FormField
from certcore.ports.ca_module import CheckReport
from certcore.serialization import (
    authorities_document,
    authority_document,
    check_document,
    fields_document,
    hints_document,
)

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["authorities"]

authorities = typer.Typer(no_args_is_help=True, help="CA profiles: the configured CAs.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name or id.")]


@authorities.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice.")],
    module: Annotated[str, typer.Option("--module", metavar="MODULE", help="The CA module, for example puq_acme.")],
    settings: Settings = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="A note for the users.")] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Add a CA profile. The CA is not contacted yet: see `authority test`."""
    pairs = [pair(setting) for setting in settings or ()]
    with open_session(database, keyring, as_json=as_json) as session:
        values = values_of(pairs, session.core.authorities.module_form(module))
        added = session.core.authorities.create(
            name, module=module, settings=values, description=description, actor=session.actor
        )

        def draw(to: Console) -> None:
            to.print(f"Added the CA profile {plain(added.name)}.", style="green")
            to.print(f"Test it: certcore authority test {plain(added.name)}")

        session.output.result(authority_document(added), draw)


@authorities.command("list")
def list_profiles(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List the CA profiles."""
    with open_session(database, keyring, as_json=as_json) as session:
        profiles = session.core.authorities.list(actor=session.actor)

        def draw(to: Console) -> None:
            if not profiles:
                to.print("There is no CA profile yet. Add one: certcore authority add NAME --module puq_acme …")
                return
            rows = [(profile.name, profile.module, profile.description, profile.id) for profile in profiles]
            to.print(table(("NAME", "MODULE", "DESCRIPTION", "ID"), rows))

        session.output.result(authorities_document(profiles), draw)


@authorities.command("show")
def show(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show a CA profile with its account at the CA. Secrets are only named, not shown."""
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        hints = session.core.authorities.hints(profile.id, actor=session.actor)

        def draw(to: Console) -> None:
            _draw(to, profile)
            to.print()
            draw_hints(to, hints, "")

        session.output.result({**authority_document(profile), "hints": hints_document(hints)["hints"]}, draw)


@authorities.command("edit")
def edit(
    name: Name,
    settings: Settings = None,
    new_name: Annotated[str, typer.Option("--name", metavar="NAME", help="Another name.")] = "",
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="A note for the users.")
    ] = None,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Change settings of a CA profile; others stay as they are. An empty text removes a secret."""
    pairs = [pair(setting) for setting in settings or ()]
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        values = values_of(pairs, session.core.authorities.module_form(profile.module))
        changed = session.core.authorities.edit(
            profile.id, name=new_name or None, description=description, settings=values, actor=session.actor
        )
        session.output.result(authority_document(changed), lambda to: _draw(to, changed))


@authorities.command("actions")
def actions(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List the actions of a CA profile beside editing it, for example an account key rollover."""
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        offered = session.core.authorities.actions(profile.id, actor=session.actor)
        report_actions(session, offered, f"authority run {plain(profile.name)}")


@authorities.command("run")
def run(
    name: Name,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="An action from `authority actions`.")],
    settings: Settings = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Run an action of a CA profile; this contacts the CA."""
    pairs = [pair(setting) for setting in settings or ()]
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        run_offered(session, session.core.authorities, profile.id, action, pairs, yes=yes)


@authorities.command("files")
def files(name: Name, out: Out = None, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List or write the public files of a CA profile, such as its root and its CRL."""
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        report_files(session, session.core.authorities.files(profile.id, actor=session.actor), out)


@authorities.command("modules")
def modules(as_json: Json = False) -> None:
    """List the CA modules of the installed plugins. No database is needed."""
    with reporting(as_json=as_json) as output, CertCore.in_memory() as core:
        warn_of_plugins(output, core.plugin_failures)
        holders = {name: info for info in core.plugins for name in info.ca_modules}
        rows = [
            (name, module.title, f"{holders[name].package} {holders[name].version}".strip())
            for name, module in sorted(core.authorities.modules().items())
        ]

        def draw(to: Console) -> None:
            to.print(table(("NAME", "TITLE", "PACKAGE"), rows))

        keys = ("name", "title", "package")
        output.result({"modules": [dict(zip(keys, row, strict=True)) for row in rows]}, draw)


@authorities.command("fields")
def fields(
    module: Annotated[str, typer.Argument(metavar="MODULE", help="A CA module from `authority modules`.")],
    as_json: Json = False,
) -> None:
    """Show the settings of a CA module, for `authority add --set`. No database is needed."""
    with reporting(as_json=as_json) as output, CertCore.in_memory() as core:
        warn_of_plugins(output, core.plugin_failures)
        form = core.authorities.module_form(module)

        def draw(to: Console) -> None:
            rows = [(field.name, str(field.kind), _default(field), str(field.help or field.label)) for field in form]
            to.print(table(("NAME", "KIND", "DEFAULT", "WHAT IT IS"), rows))

        output.result(fields_document(form), draw)


@authorities.command("test")
def try_profile(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Test a CA profile against its CA: directory, account and tech zone. Exit code 1 when a check fails."""
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        session.output.note("Contacting the CA …", "dim")
        report = session.core.authorities.check(profile.id, actor=session.actor)
        session.output.result({"authority": profile.name, **check_document(report)}, lambda to: draw_report(to, report))
        if not report.ok:
            raise typer.Exit(FAILED)


@authorities.command("remove")
def remove(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Remove a CA profile and its secrets; refused while certificates use it."""
    with open_session(database, keyring, as_json=as_json) as session:
        profile = session.core.authorities.get(name, actor=session.actor)
        session.core.authorities.delete(profile.id, actor=session.actor)
        document = {"removed": {"id": profile.id, "name": profile.name}}
        session.output.result(document, lambda to: to.print(f"Removed the CA profile {plain(profile.name)}."))


def draw_report(to: Console, report: CheckReport) -> None:
    """Print the result of testing a CA profile."""
    for item in report.items:
        sign, style = ("✓", "green") if item.ok else ("✗", "bold red")
        to.print(f"{sign} {plain(item.title)}", style=style, soft_wrap=True)
        for line in (str(item.detail), "" if item.ok else str(item.advice)):
            if line:
                to.print(f"  {plain(line)}", soft_wrap=True)


def _draw(to: Console, authority: CertificateAuthority) -> None:
    to.print(
        facts(
            [
                ("name", authority.name),
                ("module", authority.module),
                ("description", authority.description),
                ("id", authority.id),
                ("changed", shown_moment(authority.updated_at)),
            ]
        )
    )
    to.print()
    settings = [(name, _setting(value)) for name, value in authority.settings.items()]
    to.print(facts([*settings, *((name, "(set, not shown)") for name in sorted(authority.secrets_set))]))


def _default(field: FormField) -> str:
    if field.required:
        return "(required)"
    return "" if field.default is None else _setting(field.default)


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    text = str(value)
    return f"({len(text.splitlines())} lines)" if "\n" in text else text
