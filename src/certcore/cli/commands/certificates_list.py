"""``certcore cert list``: certificates, filtered and sorted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.options import Database, Json, Keyring
from certcore.cli.output import shown_moment, status_cell, table
from certcore.cli.references import shown_domain
from certcore.cli.session import open_session
from certcore.model.lifecycle import Status
from certcore.model.listing import SortKey
from certcore.serialization import rows_document
from certcore.services.certificate_list import ListOptions

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["list_certificates"]


def list_certificates(  # noqa: PLR0917 - Typer gives them all by name
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help=f"Only with this status: {', '.join(Status)}.")
    ] = "",
    authority: Annotated[str, typer.Option("--authority", metavar="NAME", help="Only with this CA profile.")] = "",
    condition: Annotated[
        str,
        typer.Option(
            "--condition",
            metavar="TYPE",
            help="Only if this holds: RenewalInDanger (overdue), OwnerActionNeeded, DeploymentFailed, Ready, …",
        ),
    ] = "",
    owner: Annotated[str | None, typer.Option("--owner", metavar="OWNER", help="Only of this tenant.")] = None,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", help="Only if the leaf expires within N days.")
    ] = None,
    days_from: Annotated[
        int | None, typer.Option("--days-from", metavar="N", help="Only if the leaf is valid for N more days.")
    ] = None,
    key_type: Annotated[str, typer.Option("--key-type", metavar="T", help="Only with this type of key.")] = "",
    renews: Annotated[
        bool | None,
        typer.Option("--renews/--renews-not", help="Only with, or only without, automatic renewal."),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Only with TEXT anywhere in a name.")] = "",
    below: Annotated[str, typer.Option("--below", metavar="DOMAIN", help="Only for DOMAIN and names below it.")] = "",
    serial: Annotated[str, typer.Option("--serial", metavar="HEX", help="Only with this serial number.")] = "",
    fingerprint: Annotated[
        str, typer.Option("--fingerprint", metavar="HEX", help="Only with this SHA-256 or SHA-1 fingerprint.")
    ] = "",
    search: Annotated[
        str,
        typer.Option(
            "--search", metavar="TEXT", help="The start of a name, a parent domain, a serial number or a fingerprint."
        ),
    ] = "",
    order: Annotated[
        str, typer.Option("--order", metavar="ORDER", help=f"Sort by one of {', '.join(SortKey)}.")
    ] = SortKey.DOMAIN,
    descending: Annotated[bool, typer.Option("--descending", help="Sort in descending order.")] = False,
    after: Annotated[str, typer.Option("--after", metavar="CURSOR", help="Continue after the previous page.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Maximum number.")] = 1000,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """List certificates. `--status expired --renews-not` shows expired ones that nothing renews."""
    with open_session(database, keyring, as_json=as_json) as session:
        filters = {
            "status": status or None,
            "authority": authority or None,
            "condition": condition or None,
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
        active_filters = {key: value for key, value in filters.items() if value is not None}
        if search and active_filters.keys() - {"owner"}:
            raise typer.BadParameter("it can only be combined with --owner.", param_hint="--search")
        place: ListOptions = {"search": search} if search else {"order": order, "descending": descending}
        if after:
            place["after"] = after
        options: ListOptions = {**active_filters, **place, "limit": limit}  # type: ignore[typeddict-item]
        page = session.core.certificates.rows(**options, actor=session.actor)
        items, cursor = page.items, page.next_cursor
        more = cursor is not None or (bool(search) and len(items) == limit)

        def draw(to: Console) -> None:
            if not items:
                to.print("No certificate matches." if active_filters or search else "There is no certificate yet.")
                return
            domain_counts = Counter(item.certificate.domain for item in items)
            rows = [
                (
                    shown_domain(item.certificate),
                    status_cell(item.certificate.status),
                    shown_moment(item.certificate.not_after),
                    shown_moment(item.renews_at),
                    item.authority_name,
                    item.certificate.id if domain_counts[item.certificate.domain] > 1 else "",
                )
                for item in items
            ]
            headers = ["DOMAIN", "STATUS", "VALID UNTIL", "RENEWS AT", "AUTHORITY", "ID"]
            if not any(row[-1] for row in rows):
                # IDs are long, and only needed if several certificates have the same domain.
                to.print(table(headers[:-1], [row[:-1] for row in rows]))
            else:
                to.print(table(headers, rows))
            if cursor is not None:
                to.print(f"More: --after {cursor}", style="yellow", soft_wrap=True)
            elif more:
                to.print(f"There may be more than these {limit}.", style="yellow")

        session.output.result({**rows_document(page), "more": more}, draw)
