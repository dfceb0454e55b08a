"""``certcore cert edit``, ``reissue``, ``cancel``, ``clone`` and ``draft``: changing a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from certcore.cli.documents import certificate_document, view_document
from certcore.cli.given import collected, pair, values_of
from certcore.cli.naming import authority_name, named, shown_domain, tell
from certcore.cli.options import Certificate, Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.store import Session, session
from certcore.errors import InvalidInput
from certcore.model.certificate import Certificate as Managed
from certcore.model.fields import CERTIFICATE_FIELDS, CertificateField, FieldGroup, When
from certcore.model.form import FieldKind

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["cancel", "clone", "edit", "reissue", "to_draft"]

#: ``module_data`` is given by the names of its own fields, the owner only when a certificate is made.
_EDITABLE: Final = {
    one.name: one
    for one in CERTIFICATE_FIELDS
    if one.kind is not None and one.when is not When.CREATE and one.name != "module_data"
}
_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})

Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help=f"A field; may be repeated. Fields: {', '.join(_EDITABLE)}, and the CA module's own. FIELD=@FILE takes "
        "the value from a file. A list takes commas, or FIELD=VALUE several times; yes and no are what they say.",
    ),
]


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
        given = _given(now, found, pairs)
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
        given = _given(now, found, pairs)
        for lasting in ("renewal", "fallbacks"):
            if lasting in given:
                raise InvalidInput(lasting, "does not take a reissue.", advice="Use: certcore cert edit")
        changed = now.core.certificates.reissue(found.id, keep_key=keep_key, **given, actor=now.actor)
        tell(now, changed, "Began a reissue")


def cancel(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Give an attempt beside the leaf in service up; names and key type go back to those of the leaf."""
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
            to.print(f"Then make key and CSR:      certcore cert csr {named(now.core, made)}")

        now.output.result(certificate_document(made, authority_name(now, made)), draw)


def _given(now: Session, found: Managed, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The arguments of ``certificates.edit``, from what was typed; the table of fields says how each is read."""
    own = [one for one in pairs if one[0] not in _EDITABLE]
    lists = frozenset(one.name for one in _EDITABLE.values() if one.kind is FieldKind.LINES)
    values = collected([one for one in pairs if one[0] in _EDITABLE], lists)
    given: dict[str, Any] = {}
    for name, value in values.items():
        field = _EDITABLE[name]
        read = _read(field, value)
        if field.group is FieldGroup.SUBJECT:
            given.setdefault("subject", {})[name] = read
        elif field.group is FieldGroup.RENEWAL:
            given.setdefault("renewal", {})[name] = read
        elif name == "authority":
            given["authority"] = now.core.authorities.find(str(read), actor=now.actor).id
        elif name == "fallbacks":
            given["fallbacks"] = [now.core.authorities.find(one, actor=now.actor).id for one in read]
        else:
            given[name] = read
    if own:
        authority = given.get("authority") or found.authority_id
        if authority is None:
            raise InvalidInput(own[0][0], f"there is no such field. Fields: {', '.join(_EDITABLE)}.")
        form = now.core.authorities.certificate_form(authority, actor=now.actor)
        given["module_data"] = dict(values_of(own, form))
    return given


def _read(field: CertificateField, value: object) -> Any:
    text = value if isinstance(value, str) else ""
    match field.kind:
        case FieldKind.BOOLEAN:
            if text.strip().lower() not in _YES | _NO:
                raise InvalidInput(field.name, f"{text[:40]!r} is neither yes nor no.")
            return text.strip().lower() in _YES
        case FieldKind.INTEGER:
            if not text.strip():
                return None
            if not text.strip().isdecimal():
                raise InvalidInput(field.name, f"{text[:40]!r} is not a whole number.")
            return int(text)
        case FieldKind.LINES:
            lines: Sequence[str] = value if isinstance(value, list) else []
            return [one.strip() for one in lines if one.strip()]
        case _:
            return text
