"""``certcore cert edit``, ``reissue``, ``cancel``, ``clone`` and ``draft``: change a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.arguments import pair
from certcore.cli.field_options import Changes, fields_given
from certcore.cli.options import Certificate, Database, Json, Keyring
from certcore.cli.output import plain, shown_moment
from certcore.cli.references import authority_name, reference, report_change, shown_domain
from certcore.cli.session import open_session
from certcore.errors import InvalidInputError
from certcore.serialization import certificate_document, view_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["cancel", "clone", "edit", "reissue", "to_draft"]


def edit(
    certificate: Certificate,
    changes: Changes = None,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Change fields of a certificate; others stay as they are. With a leaf in service, use `cert reissue` for names."""
    pairs = [pair(change) for change in changes or ()]
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        arguments = fields_given(session, pairs, certificate_id=managed.id)
        if not arguments:
            raise InvalidInputError("--set", "at least one change is required.")
        changed = session.core.certificates.edit(managed.id, **arguments, actor=session.actor)
        view = session.core.certificates.view(changed.id, actor=session.actor)
        renews = "" if view.renews_at is None else f" It renews automatically from {shown_moment(view.renews_at)}."
        summary = f"Saved {plain(shown_domain(changed))}.{renews}"
        session.output.result(view_document(view), lambda to: to.print(summary, style="green"))


def reissue(
    certificate: Certificate,
    changes: Changes = None,
    keep_key: Annotated[bool, typer.Option("--keep-key", help="Reuse the private key of the leaf in service.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Issue a new leaf with changed fields and a new key; the current leaf stays in service until then."""
    pairs = [pair(change) for change in changes or ()]
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        arguments = fields_given(session, pairs, certificate_id=managed.id)
        changed = session.core.certificates.reissue(managed.id, keep_key=keep_key, **arguments, actor=session.actor)
        report_change(session, changed, "Started a reissue")


def cancel(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Cancel an issuance beside the leaf in service; names, key type and CSR are reset to those of the leaf."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        changed = session.core.certificates.cancel_attempt(managed.id, actor=session.actor)
        report_change(session, changed, "Cancelled the issuance")


def to_draft(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Set a certificate without a leaf back to draft; the key of its issuance is destroyed."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        changed = session.core.certificates.back_to_draft(managed.id, actor=session.actor)
        report_change(session, changed, "Set back to draft")


def clone(
    certificate: Certificate,
    domain: Annotated[str, typer.Option("--domain", metavar="NAME", help="The primary name of the copy.")] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Create a new draft with the same fields; no key is copied."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        draft = session.core.certificates.clone(managed.id, domain or None, actor=session.actor)

        def draw(to: Console) -> None:
            to.print(f"Created a draft for {', '.join(plain(name) for name in draft.names)}.", style="green")
            name = reference(session.core, draft)
            if draft.authority_id is None:
                to.print(f"First choose a CA profile:  certcore cert edit {name} --set authority=NAME")
            to.print(f"Then generate key and CSR:  certcore cert csr {name}")

        session.output.result(certificate_document(draft, authority_name(session, draft)), draw)
