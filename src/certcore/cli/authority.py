"""``certcore authority``: the CA profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from certcore.cli.documents import authority_document, check_document
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import facts, plain, shown_moment, table
from certcore.cli.store import session
from certcore.errors import InvalidInput
from certcore.model.authority import CertificateAuthority
from certcore.model.form import FieldKind, FormField
from certcore.ports.ca_module import CheckReport

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["authorities"]

#: The largest file that a setting is read from, in bytes.
_MAX_FILE: Final = 1024 * 1024

authorities = typer.Typer(no_args_is_help=True, help="CA profiles: the ways to obtain certificates.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name or id.")]


@authorities.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice.")],
    module: Annotated[str, typer.Option("--module", metavar="MODULE", help="The CA module, for example puq_acme.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the module; may be repeated. KEY=@FILE takes the value from a file: use it for PEM "
            "and for secrets, which would otherwise be seen in the list of processes. KEY=@@… is a text that begins "
            "with @. A setting that is a list takes KEY=VALUE several times.",
        ),
    ] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="For people.")] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Add a CA profile. The CA is not asked yet: see `authority test`."""
    given = [_pair(one) for one in settings or ()]
    with session(database, keyring, as_json=as_json) as now:
        values = _values(given, now.core.authorities.form(module))
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
    """Show a CA profile; of its secrets, only that they are set."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.authorities.find(name, actor=now.actor)
        now.output.result(authority_document(found), lambda to: _draw(to, found))


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


def _pair(setting: str) -> tuple[str, str]:
    """The key and the value of ``--set KEY=VALUE``; the value may still be a file to read."""
    key, separator, value = setting.partition("=")
    if not separator or not key.strip():
        raise typer.BadParameter(f"{key.strip()[:60]!r} is not KEY=VALUE.", param_hint="--set")
    return key.strip(), value


def _values(pairs: Sequence[tuple[str, str]], form: Sequence[FormField]) -> Mapping[str, object]:
    lists = {field.name for field in form if field.kind is FieldKind.LINES}
    values: dict[str, object] = {}
    for key, given in pairs:
        value = _value(key, given)
        if key in lists:
            before = values.get(key, [])
            values[key] = [*before, *value.replace(",", "\n").splitlines()] if isinstance(before, list) else []
        elif key in values:
            raise typer.BadParameter(f"{key} is given twice; only lists may be.", param_hint="--set")
        else:
            values[key] = value
    return values


def _value(key: str, given: str) -> str:
    if given.startswith("@@"):
        return given[1:]
    if not given.startswith("@"):
        return given
    path = Path(given[1:]).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise InvalidInput(key, f"the file {path} cannot be read: {error.strerror}.") from None
    if len(content) > _MAX_FILE:
        raise InvalidInput(key, f"the file {path} is larger than {_MAX_FILE} bytes.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(key, f"the file {path} is no text in UTF-8.") from None
