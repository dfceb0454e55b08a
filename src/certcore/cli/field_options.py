"""Options for the fields of a certificate. The table of certificate fields says how to parse ``--set FIELD=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer

from certcore.cli.arguments import collected, content_of, value_of
from certcore.cli.session import Session
from certcore.model.certificate_fields import CERTIFICATE_FIELDS, CertificateField
from certcore.model.edit_rules import EditRule
from certcore.model.form import FieldKind

__all__ = [
    "CREATABLE",
    "EDITABLE",
    "Aliases",
    "Changes",
    "Fields",
    "OwnCsr",
    "Owner",
    "Wildcard",
    "fields_given",
    "with_options",
]


def _typed(*, created: bool) -> Mapping[str, CertificateField]:
    """The fields that ``--set`` accepts, without those of the CA module, which are in ``module_data``."""
    typed = (field for field in CERTIFICATE_FIELDS if field.kind is not None and field.name != "module_data")
    return MappingProxyType({field.name: field for field in typed if created or field.edit_rule is not EditRule.CREATE})


#: Fields that can be set on a new certificate, and fields that can be changed later (all but the owner).
CREATABLE: Final = _typed(created=True)
EDITABLE: Final = _typed(created=False)


def _help(fields: Iterable[str]) -> str:
    return (
        f"A field; may be repeated. Fields: {', '.join(fields)}, and those of the CA module. FIELD=@FILE reads "
        "the value from a file: use it for secrets, which would otherwise show up in the process list. FIELD=@@… "
        "is a text that starts with @. Separate the values of a list with commas, or repeat FIELD=VALUE. "
        "For a switch, give yes or no."
    )


Fields = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=_help(CREATABLE))]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=_help(EDITABLE))]
Owner = Annotated[str, typer.Option("--owner", metavar="OWNER", help="The tenant that owns it.")]
Aliases = Annotated[list[str] | None, typer.Option("--alias", metavar="NAME", help="A further name; may be repeated.")]
Wildcard = Annotated[bool, typer.Option("--wildcard", help="Also *.DOMAIN.")]
OwnCsr = Annotated[
    str,
    typer.Option("--csr", metavar="FILE", help="Your own CSR: the names are taken from it, and you keep its key."),
]


def with_options(
    arguments: Mapping[str, Any], pairs: Sequence[tuple[str, str]], csr_file: str = "", **options: Any
) -> dict[str, Any]:
    """Add the values of separate options (``--alias``, ``--csr``, ...) to those of ``--set``.

    Args:
        arguments: The result of `fields_given`.
        pairs: The ``--set`` pairs that `fields_given` was called with.
        csr_file: The file of ``--csr``.
        options: Values by field name; empty values are ignored.

    Raises:
        BadParameter: A field is set by ``--set`` and by its option.
        InvalidInputError: The CSR cannot be read.
    """
    named = {name: value for name, value in options.items() if value}
    if csr_file:
        named["csr"] = content_of(csr_file, "--csr")
    twice = [key for key, _ in pairs if key in named]
    if twice:
        raise typer.BadParameter(f"{twice[0]} is given twice: here and by its own option.", param_hint="--set")
    return {**arguments, **named}


def fields_given(
    session: Session,
    pairs: Sequence[tuple[str, str]],
    *,
    certificate_id: str | None = None,
    authority: str | None = None,
    owner: str = "",
) -> dict[str, Any]:
    """The arguments of ``certificates.create`` and ``edit``, from ``--set`` pairs.

    Args:
        session: The open store.
        pairs: The ``--set`` pairs.
        certificate_id: The certificate; None for a new one.
        authority: The CA profile of a new certificate, by ID or name; `pairs` may name another one.
        owner: The tenant of a new certificate; `pairs` may name another one.

    Raises:
        InvalidInputError: A value is not valid for its field, or a field is unknown.
        NotFoundError: There is no such CA profile.
    """
    named = dict(pairs)
    chosen = value_of("authority", named.get("authority", "")) or authority or None
    if certificate_id is None:
        owner = value_of("owner", named.get("owner", "")) or owner
        pairs = [pair for pair in pairs if pair[0] not in ("authority", "owner")]
    form = session.core.certificates.form(certificate_id, owner=owner, authority=chosen, actor=session.actor)
    lists = frozenset(field.name for field in form.fields if field.kind is FieldKind.LINES)
    bound = form.bind(collected(pairs, lists), partial=True)
    return dict(bound.arguments)
