"""The fields of a certificate as they are typed: ``--set FIELD=VALUE``, read by the one table of fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer

from certcore.cli.given import collected, content_of, values_of
from certcore.cli.store import Session
from certcore.errors import InvalidInput
from certcore.model.fields import CERTIFICATE_FIELDS, CertificateField, FieldGroup, When
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
    """The fields that can be typed; ``module_data`` is given by the names of its own fields."""
    typed = (one for one in CERTIFICATE_FIELDS if one.kind is not None and one.name != "module_data")
    return MappingProxyType({one.name: one for one in typed if created or one.when is not When.CREATE})


#: What can be given for a new certificate, and what can be changed later: the owner only when it is made.
CREATABLE: Final = _typed(created=True)
EDITABLE: Final = _typed(created=False)
_LONGEST_NUMBER: Final = 20
_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})


def _help(fields: Iterable[str]) -> str:
    return (
        f"A field; may be repeated. Fields: {', '.join(fields)}, and the CA module's own. FIELD=@FILE takes "
        "the value from a file: use it for secrets, which would otherwise be seen in the list of processes. FIELD=@@… "
        "is a text that begins with @. A list takes commas, or FIELD=VALUE several times; yes and no are what they say."
    )


Fields = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=_help(CREATABLE))]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=_help(EDITABLE))]
Owner = Annotated[str, typer.Option("--owner", metavar="OWNER", help="The tenant whose it is.")]
Aliases = Annotated[list[str] | None, typer.Option("--alias", metavar="NAME", help="A further name; may be repeated.")]
Wildcard = Annotated[bool, typer.Option("--wildcard", help="Also *.DOMAIN.")]
OwnCsr = Annotated[
    str,
    typer.Option("--csr", metavar="FILE", help="A CSR of your own: its names count, and its key stays with you."),
]


def with_options(
    given: Mapping[str, Any], pairs: Sequence[tuple[str, str]], csr_file: str = "", **options: Any
) -> dict[str, Any]:
    """What options of their own say, beside what ``--set`` says.

    Args:
        given: As `fields_given` has it.
        pairs: What it was made of.
        csr_file: The file of ``--csr``.
        options: By the field's name; what is empty was not given.

    Raises:
        BadParameter: A field is given in both ways.
        InvalidInput: The CSR cannot be read.
    """
    named = {name: value for name, value in options.items() if value}
    if csr_file:
        named["csr"] = content_of(csr_file, "--csr")
    twice = [key for key, _ in pairs if key in named]
    if twice:
        raise typer.BadParameter(f"{twice[0]} is given twice: here, and by an option of its own.", param_hint="--set")
    return {**given, **named}


def fields_given(
    now: Session,
    pairs: Sequence[tuple[str, str]],
    fields: Mapping[str, CertificateField],
    *,
    authority: str | None,
) -> dict[str, Any]:
    """The arguments of ``certificates.create`` and ``edit``, from what was typed.

    Args:
        now: The open store.
        pairs: Of ``--set``.
        fields: Which there are; all others are the CA module's own.
        authority: The id of the CA profile that the certificate has; `pairs` may name another one.

    Raises:
        InvalidInput: A value is not what its field takes, or there is no such field.
        NotFound: There is no such CA profile.
    """
    own = [one for one in pairs if one[0] not in fields]
    lists = frozenset(one.name for one in fields.values() if one.kind is FieldKind.LINES)
    values = collected([one for one in pairs if one[0] in fields], lists)
    given: dict[str, Any] = {}
    for name, value in values.items():
        field = fields[name]
        read = _read(field, value)
        if field.group is FieldGroup.SUBJECT:
            given.setdefault("subject", {})[name] = read
        elif field.group is FieldGroup.RENEWAL:
            given.setdefault("renewal", {})[name] = read
        elif name == "authority":
            given["authority"] = now.core.authorities.find(str(read), actor=now.actor).id if read else ""
        elif name == "fallbacks":
            given["fallbacks"] = [now.core.authorities.find(one, actor=now.actor).id for one in read]
        else:
            given[name] = read
    if own:
        profile = given.get("authority") or authority
        form = now.core.authorities.certificate_form(profile, actor=now.actor) if profile else ()
        known = [*fields, *(one.name for one in form)]
        for name, _ in own:
            if name not in known:
                raise InvalidInput(name[:60], "there is no such field.", advice=f"Fields: {', '.join(known)}.")
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
            if not text.strip().isdecimal() or len(text) > _LONGEST_NUMBER:
                raise InvalidInput(field.name, f"{text[:40]!r} is not a whole number.")
            return int(text)
        case FieldKind.LINES:
            lines: Sequence[str] = value if isinstance(value, list) else []
            return [one.strip() for one in lines if one.strip()]
        case _:
            return text
