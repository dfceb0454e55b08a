"""``certcore cert preflight``: whether a certificate could be renewed now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring, Targets
from certcore.cli.references import shown_domain
from certcore.cli.render.preflight import draw_preflight
from certcore.cli.session import open_session, read_targets_file
from certcore.serialization import preflight_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["preflight"]


def preflight(
    certificate: Certificate,
    targets: Targets = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Check whether a certificate could be renewed now; if not, print why, and who has to act. Nothing is ordered.

    `certcore run` does so for each certificate about once a week. Exit code 1 when a renewal would not succeed.
    """
    with open_session(database, keyring, as_json=as_json, targets=lambda: read_targets_file(targets)) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        checked = session.core.certificates.preflight(managed.id, actor=session.actor)
        document = {"id": managed.id, "domain": managed.domain.ascii, **preflight_document(checked)}

        def draw(to: Console) -> None:
            draw_preflight(to, shown_domain(managed), checked)

        session.output.result(document, draw)
        if checked.readiness is not None and not checked.readiness.is_ready:
            raise typer.Exit(FAILED)
