"""``certcore schema``: the JSON Schemas of what ``--json`` prints and the webhook posts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.options import Json
from certcore.cli.output import reporting, table
from certcore.serialization import json_schema, schema_names

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["schema"]


def schema(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A kind of document; without it, the kinds are listed.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Print the JSON Schema (2020-12) of a kind of document: what --json prints, and what the webhook posts."""
    with reporting(as_json=as_json) as output:
        if name:
            document = json_schema(name)
            output.result(document, lambda _: print(json.dumps(document, indent=2)))
            return
        kinds = [(kind, json_schema(kind)["title"], json_schema(kind)["$id"]) for kind in schema_names()]

        def draw(to: Console) -> None:
            to.print(table(("NAME", "WHAT IT IS", "SCHEMA"), kinds))

        documents = [{"name": kind, "title": title, "schema": identity} for kind, title, identity in kinds]
        output.result({"kinds": documents}, draw)
