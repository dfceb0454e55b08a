"""``certcore keyring``: the keys that secrets are sealed with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from attrs import asdict

from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import cell, plain, table
from certcore.cli.store import Session, session
from certcore.errors import NotFound
from certcore.services.sealing_keys import SealingKeyUse

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["sealing_keys"]

#: How many secrets are wrapped anew between two signs of life.
_BATCH: Final = 500
#: How often everything is gone through: what others seal with the old key meanwhile is met the next time.
_PASSES: Final = 3

sealing_keys = typer.Typer(no_args_is_help=True, help="Sealing keys: add one, make it current, re-wrap, retire.")

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keyring status` shows it.")]


@sealing_keys.command("status")
def status(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show the keys, which one is current, and how many secrets are sealed with each."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.sealing_keys.status(actor=now.actor)
        document = {"keys": [asdict(one) for one in found]}

        def draw(to: Console) -> None:
            to.print(table(("KEY ID", "SECRETS", ""), [(one.key_id, one.secrets, _remark(one)) for one in found]))

        now.output.result(document, draw)


@sealing_keys.command("add")
def add(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Add a new key to the keyring file. The current key stays the current one until `keyring use`."""
    with session(database, keyring, as_json=as_json) as now:
        key_id = now.core.sealing_keys.add(actor=now.actor)

        def draw(to: Console) -> None:
            to.print(f"Added the key {plain(key_id)}.", style="green")
            to.print("Keep a copy of the keyring, and bring it to every machine that has one of its own. Then:")
            to.print(f"certcore keyring use {plain(key_id)}")

        now.output.result({"added": key_id}, draw)


@sealing_keys.command("use")
def use(key_id: KeyId, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Make a key the current one: what is new is sealed with it."""
    with session(database, keyring, as_json=as_json) as now, _naming_the_command():
        now.core.sealing_keys.make_current(key_id, actor=now.actor)

        def draw(to: Console) -> None:
            to.print(f"What is new is sealed with the key {plain(key_id)}.", style="green")
            to.print("For what is there already: certcore keyring rewrap")

        now.output.result({"current": key_id}, draw)


@sealing_keys.command("rewrap")
def rewrap(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Wrap everything with the current key, while work goes on. No secret is opened for it.

    It may be interrupted and run again. Exit code 1 when something is still sealed with another key afterwards.
    """
    with session(database, keyring, as_json=as_json) as now:
        document = _rewrap_all(now)
        done, left, failed = document["rewrapped"], document["left"], document["failed"]

        def draw(to: Console) -> None:
            to.print(f"Re-wrapped: {done}. Still sealed with another key: {left}.", style="yellow" if left else "green")
            for name in failed:
                to.print(f"Does not open: {plain(name)}", style="red", soft_wrap=True)
            if left and not failed:
                to.print("A process seals with another key: has it the new keyring? See: certcore keyring status")

        now.output.result(document, draw)
        if left:
            raise typer.Exit(FAILED)


@sealing_keys.command("retire")
def retire(key_id: KeyId, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Take a key out of the keyring file; refused while it is current, or secrets are sealed with it."""
    with session(database, keyring, as_json=as_json) as now, _naming_the_command():
        now.core.sealing_keys.retire(key_id, actor=now.actor)

        def draw(to: Console) -> None:
            to.print(f"Retired the key {plain(key_id)}.", style="green")
            to.print("Older backups of the database need it still: keep its copy as long as them.")

        now.output.result({"retired": key_id}, draw)


@contextmanager
def _naming_the_command() -> Iterator[None]:
    """Of a key that is not there, say which command lists what there is."""
    try:
        yield
    except NotFound as error:
        error.advice = "See what there is: certcore keyring status"
        raise


def _rewrap_all(now: Session) -> dict[str, Any]:
    done = 0
    left = 0
    failed: Sequence[str] = ()
    for _ in range(_PASSES):
        names: list[str] = []
        after = None
        while True:
            batch = now.core.sealing_keys.rewrap(limit=_BATCH, after=after, actor=now.actor)
            done, left, after = done + batch.done, batch.left, batch.next
            names += map(str, batch.failed)
            if batch.done:
                now.output.note(f"Re-wrapped {done}, {left} left.", "dim")
            if after is None:
                break
        failed = names
        if left <= len(failed):
            break
    return {"rewrapped": done, "left": left, "failed": list(failed)}


def _remark(one: SealingKeyUse) -> object:
    if not one.in_keyring:
        return cell("not in the keyring", "red")
    if one.current:
        return cell("current", "green")
    return "not in use" if one.retirable else "needed: certcore keyring rewrap"
