"""``certcore authority``: the CA profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.documents import authority_document, check_document
from certcore.cli.given import Settings, confirmed, pair, values_of
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import facts, plain, shown_moment, table
from certcore.cli.right_column import draw_hints
from certcore.cli.store import session
from certcore.model.authority import CertificateAuthority
from certcore.model.form import fields_of
from certcore.model.hints import hint_to_json
from certcore.ports.ca_module import CheckReport

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["authorities"]

authorities = typer.Typer(no_args_is_help=True, help="CA profiles: the ways to obtain certificates.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name or id.")]


@authorities.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice.")],
    module: Annotated[str, typer.Option("--module", metavar="MODULE", help="The CA module, for example puq_acme.")],
    settings: Settings = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="For people.")] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Add a CA profile. The CA is not asked yet: see `authority test`."""
    given = [pair(one) for one in settings or ()]
    with session(database, keyring, as_json=as_json) as now:
        values = values_of(given, now.core.authorities.form(module))
        made = now.core.authorities.create(
            name, module=module, settings=values, description=description, actor=now.actor
        )

        def draw(to: Console) -> None:
            to.print(f"Added the CA profile {plain(made.name)}.", style="green")
            to.print(f"Try it: certcore authority test {plain(made.name)}")

        now.output.result(authority_document(made), draw)


@authorities.command("list")
def list_profiles(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List the CA profiles."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.list(actor=now.actor)

        def draw(to: Console) -> None:
            if not found:
                to.print("There is no CA profile yet. Add one: certcore authority add NAME --module puq_acme …")
                return
            rows = [(one.name, one.module, one.description, one.id) for one in found]
            to.print(table(("NAME", "MODULE", "DESCRIPTION", "ID"), rows))

        now.output.result({"authorities": [authority_document(one) for one in found]}, draw)


@authorities.command("show")
def show(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show a CA profile with its account at the CA; of its secrets, only that they are set."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        hints = now.core.authorities.hints(found.id, actor=now.actor)

        def draw(to: Console) -> None:
            _draw(to, found)
            to.print()
            draw_hints(to, hints, "")

        now.output.result({**authority_document(found), "hints": [hint_to_json(one) for one in hints]}, draw)


@authorities.command("edit")
def edit(
    name: Name,
    settings: Settings = None,
    new_name: Annotated[str, typer.Option("--name", metavar="NAME", help="Another name.")] = "",
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="For people.")] = None,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Change settings of a CA profile; what is not given stays. A secret given as empty text is removed."""
    given = [pair(one) for one in settings or ()]
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        values = values_of(given, now.core.authorities.form(found.module))
        changed = now.core.authorities.edit(
            found.id, name=new_name or None, description=description, settings=values, actor=now.actor
        )
        now.output.result(authority_document(changed), lambda to: _draw(to, changed))


@authorities.command("actions")
def actions(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List what can be done with a CA profile beyond editing it: rolling its account's key over, say."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        offered = now.core.authorities.actions(found.id, actor=now.actor)
        documents = [
            {
                "name": one.name,
                "label": str(one.label),
                "help": str(one.help),
                "fields": [field.to_json() for field in fields_of(one.form)],
            }
            for one in offered
        ]

        def draw(to: Console) -> None:
            if not offered:
                to.print("There is nothing that can be done with this profile.")
                return
            rows = [
                (one.name, ", ".join(field.name for field in fields_of(one.form)), str(one.help)) for one in offered
            ]
            to.print(table(("ACTION", "SETTINGS", "WHAT IT DOES"), rows))
            to.print(f"Run one: certcore authority run {plain(found.name)} ACTION")

        now.output.result({"actions": documents}, draw)


@authorities.command("run")
def run(
    name: Name,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="One that `authority actions` lists.")],
    settings: Settings = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Run an action of a CA profile; this talks to the CA."""
    given = [pair(one) for one in settings or ()]
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        offered = {one.name: one for one in now.core.authorities.actions(found.id, actor=now.actor)}
        wanted = offered.get(action)
        question = wanted.confirm if wanted is not None else None
        if question is not None and not yes and not confirmed(str(question)):
            now.output.note("Nothing was done.")
            raise typer.Exit(FAILED)
        values = values_of(given, fields_of(wanted.form) if wanted is not None else ())
        done = now.core.authorities.act(found.id, action, values, actor=now.actor)
        now.output.result({"done": done.to_json()}, lambda to: to.print(plain(done), style="green"))


@authorities.command("test")
def try_profile(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Try a CA profile against the real CA: directory, account and tech zone. Exit code 1 when something is wrong."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        now.output.note("Asking the CA …", "dim")
        report = now.core.authorities.check(found.id, actor=now.actor)
        now.output.result({"authority": found.name, **check_document(report)}, lambda to: draw_report(to, report))
        if not report.ok:
            raise typer.Exit(FAILED)


@authorities.command("remove")
def remove(name: Name, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Remove a CA profile and its secrets; refused while certificates use it."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        now.core.authorities.delete(found.id, actor=now.actor)
        document = {"removed": {"id": found.id, "name": found.name}}
        now.output.result(document, lambda to: to.print(f"Removed the CA profile {plain(found.name)}."))


def draw_report(to: Console, report: CheckReport) -> None:
    """Print the result of testing a CA profile."""
    for item in report.items:
        sign, style = ("✓", "green") if item.ok else ("✗", "bold red")
        to.print(f"{sign} {plain(item.title)}", style=style, soft_wrap=True)
        for line in (item.detail, item.advice):
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


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    text = str(value)
    return f"({len(text.splitlines())} lines)" if "\n" in text else text
