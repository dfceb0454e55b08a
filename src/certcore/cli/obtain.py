"""``certcore obtain``: one certificate, from nothing to active, in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.deliveries import draw_undelivered, undelivered_of
from certcore.cli.documents import view_document
from certcore.cli.failing import draw_failing, failing_renewal
from certcore.cli.form import CREATABLE, Aliases, Fields, OwnCsr, Owner, Wildcard, fields_given, with_options
from certcore.cli.given import pair
from certcore.cli.naming import named, shown_domain
from certcore.cli.options import FAILED, Database, Json, Keyring, Targets
from certcore.cli.output import plain, shown_moment
from certcore.cli.right_column import draw_hints
from certcore.cli.store import read_targets_file, session
from certcore.model.views import CertificateView

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["obtain"]


def obtain(  # noqa: PLR0917 - Typer gives them all by name
    authority: Annotated[str, typer.Option("--authority", metavar="NAME", help="The CA profile, by name or id.")],
    domain: Annotated[str, typer.Argument(metavar="[DOMAIN]", help="The primary name; not with --csr.")] = "",
    csr_file: OwnCsr = "",
    aliases: Aliases = None,
    wildcard: Wildcard = False,
    key_type: Annotated[str, typer.Option("--key-type", metavar="T", help="The kind of key; ec-p256 by default.")] = "",
    owner: Owner = "",
    fields: Fields = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait at most.")] = 600.0,
    targets: Targets = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Wait until there is a certificate for these names: the one that is here, or a new one. For scripts.

    The targets are told before it ends: files are written, the web server is reloaded. Exit code 1 when one was not.
    """
    pairs = [pair(one) for one in fields or ()]
    with session(database, keyring, as_json=as_json, targets=lambda: read_targets_file(targets)) as now:
        profile = now.core.authorities.find(authority, actor=now.actor).id
        # Only what was given: what is here already has to be like it, and stays as it is otherwise.
        form = with_options(
            fields_given(now, pairs, CREATABLE, authority=profile),
            pairs,
            csr_file,
            domain=domain,
            authority=profile,
            aliases=aliases,
            wildcard=wildcard,
            key_type=key_type,
            owner=owner,
        )

        def progress(view: CertificateView) -> None:
            certificate = view.certificate
            now.output.note(f"{shown_domain(certificate)} is {certificate.status}")
            if view.active is None and not as_json:
                hints = now.core.certificates.hints(certificate.id, actor=now.actor)
                draw_hints(now.output.stderr, hints, named(now.core, certificate))

        view = now.core.obtain(**form, timeout=timeout, progress=progress, actor=now.actor)
        untold = undelivered_of(now.core, view.certificate.id)

        def draw(to: Console) -> None:
            name = named(now.core, view.certificate)
            to.print(
                f"{plain(shown_domain(view.certificate))} is active, until {shown_moment(view.certificate.not_after)}.",
                style="green",
            )
            if (failing := failing_renewal(view)) is not None:
                draw_failing(to, [failing])
            draw_undelivered(to, untold)
            to.print(f"Take it out: certcore cert export {name} --out DIR")

        now.output.result(view_document(view), draw)
        if untold:
            raise typer.Exit(FAILED)
