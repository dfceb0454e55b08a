"""``certcore cert``: certificates from draft to export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.arguments import confirmed, pair
from certcore.cli.commands.certificates_actions import actions, files, run
from certcore.cli.commands.certificates_bulk import bulk
from certcore.cli.commands.certificates_edit import cancel, clone, edit, reissue, to_draft
from certcore.cli.commands.certificates_list import list_certificates
from certcore.cli.commands.certificates_preflight import preflight
from certcore.cli.commands.certificates_timeline import timeline
from certcore.cli.commands.certificates_transfer import transfer
from certcore.cli.commands.import_export import export, formats, import_one
from certcore.cli.field_options import Aliases, Fields, OwnCsr, Owner, Wildcard, fields_given, with_options
from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.references import authority_name, reference, report_change, shown_domain
from certcore.cli.render.certificate import draw_view
from certcore.cli.render.hints import draw_hints
from certcore.cli.session import open_session
from certcore.cli.undelivered import deliveries_of, draw_targets, targets_document
from certcore.model.certificate import Certificate as Managed
from certcore.model.keys import KeyType
from certcore.model.revocation import RevocationReason
from certcore.serialization import certificate_document, hints_document, view_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["certificates"]

certificates = typer.Typer(no_args_is_help=True, help="Certificates: from draft to export.")


@certificates.command("create")
def create(  # noqa: PLR0917 - Typer gives them all by name
    domain: Annotated[str, typer.Argument(metavar="[DOMAIN]", help="The primary name; not with --csr.")] = "",
    authority: Annotated[
        str, typer.Option("--authority", metavar="NAME", help="The CA profile, by name or id; needed.")
    ] = "",
    csr_file: OwnCsr = "",
    aliases: Aliases = None,
    wildcard: Wildcard = False,
    key_type: Annotated[
        str,
        typer.Option("--key-type", metavar="T", help=f"One of {', '.join(KeyType)}; ec-p256 by default."),
    ] = "",
    fallbacks: Annotated[
        list[str] | None,
        typer.Option(
            "--fallback", metavar="NAME", help="A CA profile to try when the first keeps failing; may be repeated."
        ),
    ] = None,
    owner: Owner = "",
    fields: Fields = None,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Create a draft, without a key and without contacting the CA.

    Then `cert hints` shows the CNAME to set, and `cert csr` starts the issuance.
    """
    pairs = [pair(field) for field in fields or ()]
    if not authority and not any(name == "authority" for name, _ in pairs):
        raise typer.BadParameter("the name or id of a CA profile is needed.", param_hint="--authority")
    with open_session(database, keyring, as_json=as_json) as session:
        form = with_options(
            fields_given(session, pairs, authority=authority, owner=owner),
            pairs,
            csr_file,
            domain=domain,
            authority=authority,
            aliases=aliases,
            wildcard=wildcard,
            key_type=key_type,
            fallbacks=fallbacks,
            owner=owner,
        )
        draft = session.core.certificates.create(**form, actor=session.actor)

        def draw(to: Console) -> None:
            to.print(f"Created a draft for {', '.join(plain(name) for name in draft.names)}.", style="green")
            to.print(f"See what to do first:      certcore cert hints {reference(session.core, draft)}")
            to.print(f"Then generate key and CSR: certcore cert csr {reference(session.core, draft)}")

        session.output.result(certificate_document(draft, authority_name(session, draft)), draw)


@certificates.command("csr")
def csr(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Generate key and CSR of a draft. A running `certcore run` then does the rest."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        changed = session.core.certificates.generate_csr(managed.id, actor=session.actor)
        report_change(session, changed, "Generated key and CSR", draw_csr=True)


@certificates.command("check")
def check(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Check a certificate now instead of waiting for its next check; a failed issuance is tried again."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        changed = session.core.certificates.check_now(managed.id, actor=session.actor)
        report_change(session, changed, "The check is due now")


@certificates.command("renew")
def renew(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Start a renewal now; the current leaf stays in service until the new one is issued."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        changed = session.core.certificates.renew(managed.id, actor=session.actor)
        report_change(session, changed, "Started a renewal")


@certificates.command("show")
def show(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show a certificate: names, status, leaf, timeline, and the targets with outstanding deliveries."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        view = session.core.certificates.view(managed.id, actor=session.actor)
        deliveries = deliveries_of(session.core, managed.id, actor=session.actor)
        now = session.core.now()

        def draw(to: Console) -> None:
            draw_view(to, view)
            draw_targets(to, deliveries, now)

        session.output.result({**view_document(view), **targets_document(deliveries, now)}, draw)


@certificates.command("hints")
def hints(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show what to do: the DNS records to set, what was found in the DNS, and the progress."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        shown = session.core.certificates.hints(managed.id, actor=session.actor)
        document = {
            **hints_document(shown),
            "id": managed.id,
            "domain": managed.domain.ascii,
            "status": str(managed.status),
        }
        session.output.result(document, lambda to: draw_hints(to, shown, reference(session.core, managed)))


certificates.command("preflight")(preflight)
certificates.command("actions")(actions)
certificates.command("files")(files)
certificates.command("run")(run)
certificates.command("timeline")(timeline)
certificates.command("list")(list_certificates)
certificates.command("edit")(edit)
certificates.command("reissue")(reissue)
certificates.command("cancel")(cancel)
certificates.command("draft")(to_draft)
certificates.command("clone")(clone)
certificates.command("transfer")(transfer)
certificates.add_typer(bulk, name="bulk")
certificates.command("import")(import_one)
certificates.command("export")(export)
certificates.command("formats")(formats)


@certificates.command("revoke")
def revoke(
    certificate: Certificate,
    reason: Annotated[
        str, typer.Option("--reason", metavar="REASON", help=f"One of {', '.join(RevocationReason)}.")
    ] = RevocationReason.UNSPECIFIED,
    authority: Annotated[
        str,
        typer.Option("--authority", metavar="NAME", help="Revoke through this CA profile, not the issuing one."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Revoke the leaf in service at its CA, so that clients no longer trust it. This cannot be undone."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        why = RevocationReason.parse(reason)
        if not yes and not confirmed(_question(managed, "Revoke {} at its CA? This cannot be undone.")):
            session.output.note("Nothing was revoked.")
            raise typer.Exit(FAILED)
        changed = session.core.certificates.revoke(
            managed.id, reason=why, authority=authority or None, actor=session.actor
        )
        document = view_document(session.core.certificates.view(changed.id, actor=session.actor))

        def draw(to: Console) -> None:
            to.print(f"The CA has revoked {plain(shown_domain(changed))}.", style="green")
            to.print(f"To get a new one with a new key: certcore cert renew {reference(session.core, changed)}")

        session.output.result(document, draw)


@certificates.command("delete")
def delete(
    certificate: Certificate,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Delete a certificate with its keys. Exported copies stay valid until they are revoked with `cert revoke`."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        if not yes and not confirmed(_question(managed, "Delete {} and its keys? This cannot be undone.")):
            session.output.note("Nothing was deleted.")
            raise typer.Exit(FAILED)
        session.core.certificates.delete(managed.id, actor=session.actor)
        document = {"deleted": {"id": managed.id, "domain": managed.domain.ascii}}
        session.output.result(document, lambda to: to.print(f"Deleted {plain(shown_domain(managed))} ({managed.id})."))


def _question(managed: Managed, question: str) -> str:
    return question.format(f"{plain(shown_domain(managed))} ({managed.status})")
