"""``certcore cert``: certificates from draft to export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.changes import cancel, clone, edit, reissue, to_draft
from certcore.cli.deliveries import deliveries_of, draw_targets, targets_document
from certcore.cli.details import draw_view
from certcore.cli.documents import certificate_document, view_document
from certcore.cli.exchange import export, formats, import_one
from certcore.cli.form import CREATABLE, Aliases, Fields, OwnCsr, Owner, Wildcard, fields_given, with_options
from certcore.cli.given import confirmed, pair
from certcore.cli.lists import list_certificates
from certcore.cli.naming import authority_name, named, shown_domain, tell
from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.right_column import draw_hints
from certcore.cli.store import session
from certcore.cli.timeline import timeline
from certcore.model.certificate import Certificate as Managed
from certcore.model.hints import hint_to_json
from certcore.model.keys import KeyType
from certcore.model.revocation import RevocationReason

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
    """Create a draft; no key is made, no CA is asked. `cert hints` shows the CNAME to set, `cert csr` begins."""
    pairs = [pair(one) for one in fields or ()]
    if not authority and not any(name == "authority" for name, _ in pairs):
        raise typer.BadParameter("the name or id of a CA profile is needed.", param_hint="--authority")
    with session(database, keyring, as_json=as_json) as now:
        profile = now.core.authorities.find(authority, actor=now.actor).id if authority else None
        form = with_options(
            fields_given(now, pairs, CREATABLE, authority=profile),
            pairs,
            csr_file,
            domain=domain,
            authority=profile,
            aliases=aliases,
            wildcard=wildcard,
            key_type=key_type,
            fallbacks=[now.core.authorities.find(one, actor=now.actor).id for one in fallbacks or ()],
            owner=owner,
        )
        made = now.core.certificates.create(**form, actor=now.actor)

        def draw(to: Console) -> None:
            to.print(f"Created a draft for {', '.join(plain(one) for one in made.names)}.", style="green")
            to.print(f"See what to set in the DNS: certcore cert hints {named(now.core, made)}")
            to.print(f"Then make key and CSR:      certcore cert csr {named(now.core, made)}")

        now.output.result(certificate_document(made, authority_name(now, made)), draw)


@certificates.command("csr")
def csr(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Make key and CSR of a draft; from here on everything goes by itself while `certcore run` runs."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.generate_csr(found.id, actor=now.actor)
        tell(now, changed, "Made key and CSR", draw_csr=True)


@certificates.command("check")
def check(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Have a certificate looked at at once, whatever it waits for; one that failed is tried again."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.check_now(found.id, actor=now.actor)
        tell(now, changed, "It is looked at at once")


@certificates.command("renew")
def renew(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Begin a new issuance now; the present leaf stays in service until the new one is there."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.renew(found.id, actor=now.actor)
        tell(now, changed, "Began a renewal")


@certificates.command("show")
def show(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show a certificate: names, status, the details of its leaf, its timeline, and the targets that are behind."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        view = now.core.certificates.view(found.id, actor=now.actor)
        told = deliveries_of(now.core, found.id, actor=now.actor)

        def draw(to: Console) -> None:
            draw_view(to, view)
            draw_targets(to, told)

        now.output.result({**view_document(view), **targets_document(told)}, draw)


@certificates.command("hints")
def hints(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show what is to be done: the DNS records to set with what was seen of them, and how far it is."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        shown = now.core.certificates.hints(found.id, actor=now.actor)
        document = {
            "id": found.id,
            "domain": found.domain.ascii,
            "status": str(found.status),
            "hints": [hint_to_json(one) for one in shown],
        }
        now.output.result(document, lambda to: draw_hints(to, shown, named(now.core, found)))


certificates.command("timeline")(timeline)
certificates.command("list")(list_certificates)
certificates.command("edit")(edit)
certificates.command("reissue")(reissue)
certificates.command("cancel")(cancel)
certificates.command("draft")(to_draft)
certificates.command("clone")(clone)
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
        typer.Option("--authority", metavar="NAME", help="Ask through this CA profile, not the issuing one."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Have the CA revoke the leaf in service: browsers are to trust it no more. It cannot be undone."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        why = RevocationReason.parse(reason)
        if not yes and not confirmed(_question(found, "Revoke {} at its CA for good?")):
            now.output.note("Nothing was revoked.")
            raise typer.Exit(FAILED)
        through = now.core.authorities.find(authority, actor=now.actor).id if authority else None
        changed = now.core.certificates.revoke(found.id, reason=why, authority=through, actor=now.actor)
        document = view_document(now.core.certificates.view(changed.id, actor=now.actor))

        def draw(to: Console) -> None:
            to.print(f"The CA has revoked {plain(shown_domain(changed))}.", style="green")
            to.print(f"For a new one, with a new key: certcore cert renew {named(now.core, changed)}")

        now.output.result(document, draw)


@certificates.command("delete")
def delete(
    certificate: Certificate,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Delete a certificate with its keys. Where it was exported to, it stays valid; `cert revoke` changes that."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        if not yes and not confirmed(_question(found, "Delete {} and its keys for good?")):
            now.output.note("Nothing was deleted.")
            raise typer.Exit(FAILED)
        now.core.certificates.delete(found.id, actor=now.actor)
        document = {"deleted": {"id": found.id, "domain": found.domain.ascii}}
        now.output.result(document, lambda to: to.print(f"Deleted {plain(shown_domain(found))} ({found.id})."))


def _question(found: Managed, question: str) -> str:
    return question.format(f"{plain(shown_domain(found))} ({found.status})")
