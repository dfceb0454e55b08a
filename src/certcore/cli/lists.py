"""``certcore cert list``: certificates, filtered and sorted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.documents import certificate_document
from certcore.cli.naming import authority_names, shown_domain
from certcore.cli.options import Database, Json, Keyring
from certcore.cli.output import shown_moment, status_cell, table
from certcore.cli.store import session
from certcore.model.lifecycle import Status
from certcore.model.listing import Order

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["list_certificates"]


def list_certificates(  # noqa: PLR0917 - Typer gives them all by name
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help=f"Only those of this status: {', '.join(Status)}.")
    ] = "",
    authority: Annotated[str, typer.Option("--authority", metavar="NAME", help="Only those of this CA profile.")] = "",
    owner: Annotated[str | None, typer.Option("--owner", metavar="OWNER", help="Only those of this tenant.")] = None,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", help="Only those whose leaf has N days left, or fewer.")
    ] = None,
    days_from: Annotated[
        int | None, typer.Option("--days-from", metavar="N", help="Only those whose leaf has N days left, or more.")
    ] = None,
    key_type: Annotated[str, typer.Option("--key-type", metavar="T", help="Only those with this kind of key.")] = "",
    renews: Annotated[
        bool | None,
        typer.Option("--renews/--renews-not", help="Only those that renew by themselves, or that do not."),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Only those with TEXT anywhere in a name.")] = "",
    below: Annotated[str, typer.Option("--below", metavar="DOMAIN", help="Only those for DOMAIN, or below it.")] = "",
    serial: Annotated[str, typer.Option("--serial", metavar="HEX", help="Only that of this serial number.")] = "",
    fingerprint: Annotated[
        str, typer.Option("--fingerprint", metavar="HEX", help="Only that of this SHA-256 or SHA-1 fingerprint.")
    ] = "",
    search: Annotated[
        str,
        typer.Option(
            "--search", metavar="TEXT", help="The beginning of a name, a domain above it, a serial or a fingerprint."
        ),
    ] = "",
    order: Annotated[
        str, typer.Option("--order", metavar="ORDER", help=f"Sort by one of {', '.join(Order)}.")
    ] = Order.DOMAIN,
    descending: Annotated[bool, typer.Option("--descending", help="The largest first.")] = False,
    after: Annotated[str, typer.Option("--after", metavar="CURSOR", help="Go on where the last page ended.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many at most.")] = 1000,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """List certificates. `--status expired --renews-not`: those that nobody looks after."""
    with session(database, keyring, as_json=as_json) as now:
        names = authority_names(now)
        filters = {
            "status": status or None,
            "authority": now.core.authorities.find(authority, actor=now.actor).id if authority else None,
            "owner": owner,
            "days_to": days,
            "days_from": days_from,
            "key_type": key_type or None,
            "renews_itself": renews,
            "name": name or None,
            "below": below or None,
            "serial": serial or None,
            "fingerprint": fingerprint or None,
        }
        given = {key: value for key, value in filters.items() if value is not None}
        cursor = None
        if search:
            if given.keys() - {"owner"}:
                raise typer.BadParameter("it goes with --owner alone.", param_hint="--search")
            items = tuple(now.core.certificates.search(search, owner=owner, limit=limit, actor=now.actor))
            more = len(items) == limit
        else:
            page = now.core.certificates.list(
                **given,  # type: ignore[arg-type]
                order=order,
                descending=descending,
                after=after or None,
                limit=limit,
                actor=now.actor,
            )
            items, cursor = page.items, page.next_cursor
            more = cursor is not None

        def draw(to: Console) -> None:
            if not items:
                to.print("There is no such certificate." if given or search else "There is no certificate yet.")
                return
            times = Counter(one.domain for one in items)
            rows = [
                (
                    shown_domain(one),
                    status_cell(one.status),
                    shown_moment(one.not_after),
                    names.get(one.authority_id, ""),
                    one.id if times[one.domain] > 1 else "",
                )
                for one in items
            ]
            headers = ["DOMAIN", "STATUS", "VALID UNTIL", "AUTHORITY", "ID"]
            if not any(row[-1] for row in rows):
                # An id is long, and only needed where the domain does not name one certificate.
                to.print(table(headers[:-1], [row[:-1] for row in rows]))
            else:
                to.print(table(headers, rows))
            if cursor is not None:
                to.print(f"More: --after {cursor}", style="yellow", soft_wrap=True)
            elif more:
                to.print(f"There may be more than these {limit}.", style="yellow")

        found = [certificate_document(one, names.get(one.authority_id, "")) for one in items]
        now.output.result({"certificates": found, "more": more, "next_cursor": cursor}, draw)
