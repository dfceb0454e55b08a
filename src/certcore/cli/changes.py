"""``certcore cert edit``, ``reissue``, ``cancel``, ``clone`` and ``draft``: changing a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.documents import certificate_document, view_document
from certcore.cli.form import EDITABLE, Changes, fields_given
from certcore.cli.given import pair
from certcore.cli.naming import authority_name, named, shown_domain, tell
from certcore.cli.options import Certificate, Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.store import session
from certcore.errors import InvalidInput

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
    """Change fields of a certificate; what is not given stays. Beside a leaf, other names take `cert reissue`."""
    pairs = [pair(one) for one in changes or ()]
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        given = fields_given(now, pairs, EDITABLE, authority=found.authority_id)
        if not given:
            raise InvalidInput("--set", "nothing was given to change.")
        changed = now.core.certificates.edit(found.id, **given, actor=now.actor)
        document = view_document(now.core.certificates.view(changed.id, actor=now.actor))
        now.output.result(document, lambda to: to.print(f"Saved {plain(shown_domain(changed))}.", style="green"))


def reissue(
    certificate: Certificate,
    changes: Changes = None,
    keep_key: Annotated[
        bool, typer.Option("--keep-key", help="Use the private key of the leaf in service again.")
    ] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Have it issued anew, with another key, or other names; the present leaf stays in service until then."""
    pairs = [pair(one) for one in changes or ()]
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        given = fields_given(now, pairs, EDITABLE, authority=found.authority_id)
        for lasting in ("renewal", "fallbacks"):
            if lasting in given:
                raise InvalidInput(lasting, "does not take a reissue.", advice="Use: certcore cert edit")
        changed = now.core.certificates.reissue(found.id, keep_key=keep_key, **given, actor=now.actor)
        tell(now, changed, "Began a reissue")


def cancel(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Give an attempt beside the leaf in service up; names, key type and CSR go back to those of the leaf."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.cancel_attempt(found.id, actor=now.actor)
        tell(now, changed, "Gave the attempt up")


def to_draft(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Take an unfinished certificate back to draft; the attempt's key is destroyed."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        changed = now.core.certificates.back_to_draft(found.id, actor=now.actor)
        tell(now, changed, "Took it back")


def clone(
    certificate: Certificate,
    domain: Annotated[str, typer.Option("--domain", metavar="NAME", help="The primary name of the copy.")] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Make a new draft with the same form; no key is copied."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.find(certificate, actor=now.actor)
        made = now.core.certificates.clone(found.id, domain or None, actor=now.actor)

        def draw(to: Console) -> None:
            to.print(f"Created a draft for {', '.join(plain(one) for one in made.names)}.", style="green")
            name = named(now.core, made)
            if made.authority_id is None:
                to.print(f"Choose a CA profile first:  certcore cert edit {name} --set authority=NAME")
            to.print(f"Then make key and CSR:      certcore cert csr {name}")

        now.output.result(certificate_document(made, authority_name(now, made)), draw)
