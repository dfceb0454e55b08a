"""``certcore keyring``: manage the keys that secrets are sealed with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from attrs import asdict

from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import cell, plain, table
from certcore.cli.session import Session, open_session
from certcore.errors import NotFoundError
from certcore.messages import as_message
from certcore.services.sealing_keys import SealingKeyUse

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["sealing_keys"]

#: How many secrets are re-wrapped per batch, after which the progress is printed.
_BATCH: Final = 500
#: Passes over all secrets. During a pass, another process may seal secrets with an old key; the next pass finds them.
_PASSES: Final = 3

sealing_keys = typer.Typer(no_args_is_help=True, help="Sealing keys: add one, make it current, re-wrap, retire.")

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keyring status` shows it.")]


@sealing_keys.command("status")
def status(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show the keys, which one is current, and how many secrets are sealed with each."""
    with open_session(database, keyring, as_json=as_json) as session:
        keys = session.core.sealing_keys.status(actor=session.actor)
        document = {"keys": [asdict(key) for key in keys]}

        def draw(to: Console) -> None:
            to.print(table(("KEY ID", "SECRETS", ""), [(key.key_id, key.secrets, _remark(key)) for key in keys]))

        session.output.result(document, draw)


@sealing_keys.command("add")
def add(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Add a new key to the keyring file. The current key stays current until `keyring use`."""
    with open_session(database, keyring, as_json=as_json) as session:
        key_id = session.core.sealing_keys.add(actor=session.actor)

        def draw(to: Console) -> None:
            to.print(f"Added the key {plain(key_id)}.", style="green")
            to.print("Back up the keyring, and copy it to every machine that has its own copy. Then:")
            to.print(f"certcore keyring use {plain(key_id)}")

        session.output.result({"added": key_id}, draw)


@sealing_keys.command("use")
def use(key_id: KeyId, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Make a key the current one: new secrets are sealed with it."""
    with open_session(database, keyring, as_json=as_json) as session, _naming_the_command():
        session.core.sealing_keys.make_current(key_id, actor=session.actor)

        def draw(to: Console) -> None:
            to.print(f"New secrets are sealed with the key {plain(key_id)}.", style="green")
            to.print("To re-wrap existing secrets: certcore keyring rewrap")

        session.output.result({"current": key_id}, draw)


@sealing_keys.command("rewrap")
def rewrap(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Re-wrap all secrets with the current key, without decrypting them. Workers may keep running.

    It may be interrupted and run again. Exit code 1 when secrets are still sealed with another key afterwards.
    """
    with open_session(database, keyring, as_json=as_json) as session:
        document = _rewrap_all(session)
        done, left, failed = document["rewrapped"], document["left"], document["failed"]

        def draw(to: Console) -> None:
            to.print(f"Re-wrapped: {done}. Still sealed with another key: {left}.", style="yellow" if left else "green")
            for name in failed:
                to.print(f"Cannot be decrypted: {plain(name)}", style="red", soft_wrap=True)
            if left and not failed:
                to.print("A running process still uses another key; give it the new keyring.")
                to.print("See: certcore keyring status")

        session.output.result(document, draw)
        if left:
            raise typer.Exit(FAILED)


@sealing_keys.command("retire")
def retire(key_id: KeyId, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Remove a key from the keyring file; refused while it is current or secrets are sealed with it."""
    with open_session(database, keyring, as_json=as_json) as session, _naming_the_command():
        session.core.sealing_keys.retire(key_id, actor=session.actor)

        def draw(to: Console) -> None:
            to.print(f"Retired the key {plain(key_id)}.", style="green")
            to.print("Older backups of the database still need it: keep a copy of the key as long as those.")

        session.output.result({"retired": key_id}, draw)


@contextmanager
def _naming_the_command() -> Iterator[None]:
    """Advise to run the command that lists the keys, if a key is not found."""
    try:
        yield
    except NotFoundError as error:
        error.advice_text = as_message("List the keys: certcore keyring status")
        raise


def _rewrap_all(session: Session) -> dict[str, Any]:
    done = 0
    left = 0
    failed: Sequence[str] = ()
    for _ in range(_PASSES):
        names: list[str] = []
        after = None
        while True:
            batch = session.core.sealing_keys.rewrap(limit=_BATCH, after=after, actor=session.actor)
            done, left, after = done + batch.done, batch.left, batch.next
            names += map(str, batch.failed)
            if batch.done:
                session.output.note(f"Re-wrapped {done}, {left} left.", "dim")
            if after is None:
                break
        failed = names
        if left <= len(failed):
            break
    return {"rewrapped": done, "left": left, "failed": list(failed)}


def _remark(key: SealingKeyUse) -> object:
    if not key.in_keyring:
        return cell("not in the keyring", "red")
    if key.current:
        return cell("current", "green")
    return "not in use" if key.retirable else "in use: certcore keyring rewrap"
