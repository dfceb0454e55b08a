"""``certcore obtain``: get an active certificate in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.arguments import pair
from certcore.cli.failing_renewals import draw_failing, failing_renewal
from certcore.cli.field_options import Aliases, Fields, OwnCsr, Owner, Wildcard, fields_given, with_options
from certcore.cli.options import FAILED, Database, Json, Keyring, Targets
from certcore.cli.output import plain, shown_moment
from certcore.cli.references import reference, shown_domain
from certcore.cli.render.hints import draw_hints
from certcore.cli.session import open_session, read_targets_file
from certcore.cli.undelivered import draw_undelivered, undelivered_of
from certcore.model.views import CertificateView
from certcore.serialization import view_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["obtain"]


def obtain(  # noqa: PLR0917 - Typer gives them all by name
    authority: Annotated[str, typer.Option("--authority", metavar="NAME", help="The CA profile, by name or id.")],
    domain: Annotated[str, typer.Argument(metavar="[DOMAIN]", help="The primary name; not with --csr.")] = "",
    csr_file: OwnCsr = "",
    aliases: Aliases = None,
    wildcard: Wildcard = False,
    key_type: Annotated[str, typer.Option("--key-type", metavar="T", help="The type of key; ec-p256 by default.")] = "",
    owner: Owner = "",
    fields: Fields = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait at most.")] = 600.0,
    targets: Targets = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Return an active certificate for these names, existing or newly issued. For scripts.

    Waits for the deployment to the targets: files are written, the web server is reloaded.

    Exit code 0 when a valid leaf is in service, also when its renewal fails: that is printed, and "problem" in --json
    has the reason. Exit code 1 when there is no valid leaf, or a delivery to a target failed.
    """
    pairs = [pair(field) for field in fields or ()]
    with open_session(database, keyring, as_json=as_json, targets=lambda: read_targets_file(targets)) as session:
        # Only the options that were given. An existing certificate must match them, and keeps its other fields.
        form = with_options(
            fields_given(session, pairs, authority=authority, owner=owner),
            pairs,
            csr_file,
            domain=domain,
            authority=authority,
            aliases=aliases,
            wildcard=wildcard,
            key_type=key_type,
            owner=owner,
        )

        def progress(view: CertificateView) -> None:
            certificate = view.certificate
            session.output.note(f"{shown_domain(certificate)} is {certificate.status}")
            if view.active is None and not as_json:
                hints = session.core.certificates.hints(certificate.id, actor=session.actor)
                draw_hints(session.output.stderr, hints, reference(session.core, certificate))

        view = session.core.obtain(**form, timeout=timeout, progress=progress, actor=session.actor)
        undelivered_events = undelivered_of(session.core, view.certificate.id)

        def draw(to: Console) -> None:
            name = reference(session.core, view.certificate)
            expires = shown_moment(view.certificate.not_after)
            to.print(
                f"{plain(shown_domain(view.certificate))} is active until {expires}.",
                style="green",
            )
            if (failing := failing_renewal(view)) is not None:
                draw_failing(to, [failing])
            draw_undelivered(to, undelivered_events)
            to.print(f"Export it: certcore cert export {name} --out DIR")

        session.output.result(view_document(view), draw)
        if undelivered_events:
            raise typer.Exit(FAILED)
