"""``certcore cert``: certificates from draft to export."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.certificate_files import write_files
from certcore.cli.details import draw_view
from certcore.cli.documents import certificate_document, moment, view_document
from certcore.cli.given import Settings, confirmed, pair, values_of
from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring
from certcore.cli.output import plain, shown_moment, status_cell, table
from certcore.cli.right_column import draw_hints
from certcore.cli.store import Session, session
from certcore.cli.timeline import timeline
from certcore.core import CertCore
from certcore.model.certificate import Certificate as Managed
from certcore.model.hints import hint_to_json
from certcore.model.revocation import RevocationReason

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["certificates"]

certificates = typer.Typer(no_args_is_help=True, help="Certificates: from draft to export.")


@certificates.command("create")
def create(  # noqa: PLR0917 - Typer gives them all by name
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The primary name.")],
    authority: Annotated[str, typer.Option("--authority", metavar="NAME", help="The CA profile, by name or id.")],
    aliases: Annotated[
        list[str] | None, typer.Option("--alias", metavar="NAME", help="A further name; may be repeated.")
    ] = None,
    wildcard: Annotated[bool, typer.Option("--wildcard", help="Also *.DOMAIN.")] = False,
    key_type: Annotated[
        str,
        typer.Option("--key-type", metavar="T", help="One of ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096."),
    ] = "ec-p256",
    fallbacks: Annotated[
        list[str] | None,
        typer.Option(
            "--fallback", metavar="NAME", help="A CA profile to try when the first keeps failing; may be repeated."
        ),
    ] = None,
    settings: Settings = None,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Create a draft; no key is made, no CA is asked. `cert hints` shows the CNAME to set, `cert csr` begins."""
    given = [pair(one) for one in settings or ()]
    with session(database, keyring, as_json=as_json) as now:
        profile = now.core.authorities.find(authority, actor=now.actor)
        form = now.core.authorities.certificate_form(profile.id, actor=now.actor)
        made = now.core.certificates.create(
            domain,
            authority=profile.id,
            aliases=aliases or (),
            wildcard=wildcard,
            key_type=key_type,
            fallbacks=[now.core.authorities.find(one, actor=now.actor).id for one in fallbacks or ()],
            module_data=values_of(given, form),
            actor=now.actor,
        )

        def draw(to: Console) -> None:
            to.print(f"Created a draft for {', '.join(plain(one) for one in made.names)}.", style="green")
            to.print(f"See what to set in the DNS: certcore cert hints {_named(now.core, made)}")
            to.print(f"Then make key and CSR:      certcore cert csr {_named(now.core, made)}")

        now.output.result(certificate_document(made, profile.name), draw)


@certificates.command("csr")
def csr(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Make key and CSR of a draft; from here on everything goes by itself while `certcore run` runs."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.generate_csr(found.id, actor=now.actor)
        _tell(now, changed, "Made key and CSR", draw_csr=True)


@certificates.command("check")
def check(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Have a certificate looked at at once, whatever it waits for; one that failed is tried again."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.check_now(found.id, actor=now.actor)
        _tell(now, changed, "It is looked at at once")


@certificates.command("renew")
def renew(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Begin a new issuance now; the present leaf stays in service until the new one is there."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.renew(found.id, actor=now.actor)
        _tell(now, changed, "Began a renewal")


@certificates.command("list")
def list_certificates(
    status: Annotated[str, typer.Option("--status", metavar="STATUS", help="Only those of this status.")] = "",
    authority: Annotated[str, typer.Option("--authority", metavar="NAME", help="Only those of this CA profile.")] = "",
    search: Annotated[
        str,
        typer.Option(
            "--search", metavar="TEXT", help="The beginning of a name, a domain above it, a serial or a fingerprint."
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many at most.")] = 1000,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """List the certificates by domain."""
    with session(database, keyring, as_json=as_json) as now:
        names = {one.id: one.name for one in now.core.authorities.list(actor=now.actor)}
        only = now.core.authorities.find(authority, actor=now.actor).id if authority else None
        if search and (status or only):
            raise typer.BadParameter("it does not go with --status or --authority.", param_hint="--search")
        if search:
            items = now.core.certificates.search(search, limit=limit, actor=now.actor)
            more = len(items) == limit
        else:
            page = now.core.certificates.list(limit=limit, status=status or None, authority=only, actor=now.actor)
            items, more = page.items, page.next_cursor is not None

        def draw(to: Console) -> None:
            if not items:
                asked = status or authority or search
                to.print("There is no such certificate." if asked else "There is no certificate yet.")
                return
            times = Counter(one.domain for one in items)
            rows = [
                (
                    _shown_domain(one),
                    status_cell(one.status),
                    shown_moment(one.not_after),
                    names.get(one.authority_id or "", ""),
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
            if more:
                to.print(f"There may be more than these {limit}.", style="yellow")

        found = [certificate_document(one, names.get(one.authority_id or "", "")) for one in items]
        now.output.result({"certificates": found, "more": more}, draw)


@certificates.command("show")
def show(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Show a certificate: names, status, the details of its leaf, and its timeline."""
    with session(database, keyring, as_json=as_json) as now:
        view = now.core.certificates.view(now.core.certificates.find(certificate, actor=now.actor).id, actor=now.actor)
        now.output.result(view_document(view), lambda to: draw_view(to, view))


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
        now.output.result(document, lambda to: draw_hints(to, shown, _named(now.core, found)))


certificates.command("timeline")(timeline)


@certificates.command("export")
def export(
    certificate: Certificate,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder; made (0700) when it is missing.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why the private key is taken out; goes on the record.")
    ] = "certcore cert export",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Write cert.pem, chain.pem, fullchain.pem and privkey.pem (readable by you alone), replacing what is there."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        exported = now.core.certificates.export(found.id, reason=reason, actor=now.actor)
        files = write_files(out, exported)
        document = {
            "id": found.id,
            "domain": found.domain.ascii,
            "not_after": moment(found.not_after),
            "files": {path.stem: str(path) for path in files},
        }

        def draw(to: Console) -> None:
            for path in files:
                to.print(plain(path), soft_wrap=True)

        now.output.result(document, draw)


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
            to.print(f"The CA has revoked {plain(_shown_domain(changed))}.", style="green")
            to.print(f"For a new one, with a new key: certcore cert renew {_named(now.core, changed)}")

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
        now.output.result(document, lambda to: to.print(f"Deleted {plain(_shown_domain(found))} ({found.id})."))


def _question(found: Managed, question: str) -> str:
    return question.format(f"{plain(_shown_domain(found))} ({found.status})")


def _tell(now: Session, changed: Managed, done: str, *, draw_csr: bool = False) -> None:
    """What a command that sets the engine to work has to say."""
    view = now.core.certificates.view(changed.id, actor=now.actor)
    named = _named(now.core, changed)

    def draw(to: Console) -> None:
        to.print(f"{done}; {plain(_shown_domain(changed))} is {changed.status}.", style="green")
        to.print(f"See what it waits for:         certcore cert hints {named}")
        to.print("Go on, if no worker runs yet:  certcore run --until-idle")
        if draw_csr and view.issuance is not None:
            to.print(view.issuance.csr_pem.rstrip(), soft_wrap=True)

    now.output.result(view_document(view), draw)


def _named(core: CertCore, certificate: Managed) -> str:
    """How the next command names it: by its domain while no other certificate has the same."""
    with core.engine.storage.read() as transaction:
        same = transaction.certificates.find_by_domain(certificate.domain)
    return certificate.domain.ascii if len(same) == 1 else certificate.id


def _shown_domain(certificate: Managed) -> str:
    domain = certificate.domain
    return domain.ascii if domain.unicode == domain.ascii else f"{domain.unicode} ({domain.ascii})"
