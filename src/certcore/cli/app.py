"""The Typer application `app` with all groups and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore import __version__
from certcore.cli.commands.authority import authorities
from certcore.cli.commands.certificates import certificates
from certcore.cli.commands.demo import demo
from certcore.cli.commands.dns import dns
from certcore.cli.commands.doctor import doctor
from certcore.cli.commands.keyring import sealing_keys
from certcore.cli.commands.obtain import obtain
from certcore.cli.commands.plugins import plugins
from certcore.cli.commands.run import run
from certcore.cli.commands.schema import schema
from certcore.cli.commands.takeover import take_over
from certcore.cli.options import Database, Json, Keyring
from certcore.cli.output import plain, reporting
from certcore.cli.session import create, locate

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app"]

app = typer.Typer(
    name="certcore",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(show: bool) -> None:
    if show:
        print(f"certcore {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Manage TLS certificates: request, validate, issue, renew, export.

    Start with `certcore init`; `certcore demo` shows the whole life of a certificate on this machine within a minute.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """


@app.command("init")
def init(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Create the keyring and the database. Existing ones are kept as they are."""
    with reporting(as_json=as_json) as output:
        store = locate(database, keyring)
        new_keyring, new_database = create(store, output)
        place, ring = store.shown
        document = {
            "database": {"location": place, "created": new_database},
            "keyring": {"location": ring, "created": new_keyring},
        }

        def draw(to: Console) -> None:
            for label, location, new in (
                ("Database", place, new_database),
                ("Keyring ", ring, new_keyring),
            ):
                to.print(f"{label}  {plain(location)}  ({'created' if new else 'already exists'})", soft_wrap=True)
            if new_keyring:
                to.print("Back up the keyring apart from the database: without it no secret can be decrypted.")
            if new_keyring or new_database:
                to.print("Next, add a CA profile: certcore authority add NAME --module puq_acme --set …")

        output.result(document, draw)


@app.command("migrate")
def migrate(database: Database = "", as_json: Json = False) -> None:
    """Create the tables of a database, or migrate them to this version. Back the database up first.

    Every command migrates automatically; a panel that opens its database with migrate=False needs this after upgrades.
    """
    from certcore.adapters.sql import migrate_storage  # noqa: PLC0415 - not needed for --help

    with reporting(as_json=as_json) as output:
        store = locate(database, "")
        before, after = migrate_storage(store.url)
        document = {"database": store.shown[0], "before": before, "after": after}

        def draw(to: Console) -> None:
            if before == after:
                to.print(f"The database {plain(store.shown[0])} is up to date (revision {after}).", soft_wrap=True)
            else:
                to.print(f"Migrated {plain(store.shown[0])} from revision {before or '-'} to {after}.", soft_wrap=True)

        output.result(document, draw)


# The help lists the groups in this order. It is the order in which a new user needs them.
app.add_typer(authorities, name="authority")
app.add_typer(certificates, name="cert")
app.add_typer(dns, name="dns")
app.add_typer(sealing_keys, name="keyring")
app.add_typer(plugins, name="plugin")
app.command("obtain")(obtain)
app.command("doctor")(doctor)
app.command("import")(take_over)
app.command("run")(run)
app.command("demo")(demo)
app.command("schema")(schema)
