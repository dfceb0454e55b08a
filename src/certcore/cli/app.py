"""The command as a whole: `app` holds every group and command."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.authority import authorities
from certcore.cli.certificate import certificates
from certcore.cli.demo import demo
from certcore.cli.dns import dns
from certcore.cli.keyring import sealing_keys
from certcore.cli.obtain import obtain
from certcore.cli.options import Database, Json, Keyring
from certcore.cli.output import plain, reporting
from certcore.cli.run import run
from certcore.cli.store import create, locate
from certcore.cli.takeover import take_over

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


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"certcore {version('certcore')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The whole life of TLS certificates: request, validate, issue, renew, export.

    Begin with `certcore init`; `certcore demo` shows everything on this machine within a minute.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """


@app.command("init")
def init(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Create the keyring and the database. Harmless when they are there already."""
    with reporting(as_json=as_json) as output:
        store = locate(database, keyring)
        new_keyring, new_database = create(store)
        place, ring = store.shown
        document = {
            "database": {"location": place, "created": new_database},
            "keyring": {"location": ring, "created": new_keyring},
        }

        def draw(to: Console) -> None:
            for what, where, new in (
                ("Database", place, new_database),
                ("Keyring ", ring, new_keyring),
            ):
                to.print(f"{what}  {plain(where)}  ({'created' if new else 'already there'})", soft_wrap=True)
            if new_keyring:
                to.print("Keep a copy of the keyring where the database is not: without it no secret can be opened.")
            if new_keyring or new_database:
                to.print("Next, a CA profile: certcore authority add NAME --module puq_acme --set …")

        output.result(document, draw)


# In the order of the help: as one gets to need them.
app.add_typer(authorities, name="authority")
app.add_typer(certificates, name="cert")
app.add_typer(dns, name="dns")
app.add_typer(sealing_keys, name="keyring")
app.command("obtain")(obtain)
app.command("import")(take_over)
app.command("run")(run)
app.command("demo")(demo)
