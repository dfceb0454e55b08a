"""What a user gives for the fields of a certificate, made into values; what does not fit is refused by its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, fields

from certcore.errors import InvalidInput, InvalidName
from certcore.model.bounds import LONGEST_ID, counted, members, text_within
from certcore.model.certificate import Certificate
from certcore.model.keys import KeyType
from certcore.model.names import MAX_NAMES, DnsName, form_of_names
from certcore.model.renewal import RenewalPolicy
from certcore.model.subject import Subject
from certcore.services.identifiers import check_owner
from certcore.x509.own_csr import read_csr

__all__ = [
    "aliases_of",
    "fallbacks_of",
    "fields_set",
    "given_changes",
    "is_storable",
    "members_of",
    "names_given",
    "no_profile",
    "owner_of",
    "refuse_unstorable",
    "renewal_of",
    "subject_of",
    "true_or_false",
]

_MAX_FALLBACKS: Final = 5
#: A list of names in one text: as many as a certificate carries, each of the longest, with room for blanks.
_LONGEST_LIST: Final = 64 * 1024
#: Entries of a list before the empty ones are left out.
_MOST_ENTRIES: Final = 1000
#: The longest value of any setting: a PEM file with the roots of a CA.
_LONGEST_VALUE: Final = 512 * 1024
#: No database stores surrogates, and not all store NUL.
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
#: What a CSR of the user's own says.
_OF_CSR: Final = ("domain", "aliases", "wildcard", "key_type")


def is_storable(text: object) -> bool:
    """Whether it is text that every database stores: without surrogates, and without NUL."""
    return isinstance(text, str) and _UNSTORABLE.search(text) is None


def no_profile(field: str, authority_id: str) -> InvalidInput:
    """That a field names a CA profile that is not there; whether it is the name of one, tenants need not know."""
    return InvalidInput(
        field,
        f"there is no CA profile {authority_id[:60]!r}.",
        advice="Give the id of one; authorities.find(name) has it.",
    )


def refuse_unstorable(values: Mapping[str, Any]) -> None:
    """Refuse fields with text that not every database stores; what else may be wrong is for the form to say.

    Raises:
        InvalidInput: There are surrogates or NUL in a name, a value or an entry of a list, or one is longer than any
            field takes; the error names the field.
    """
    for name, value in members("settings", values).items():
        items = counted(name, value, _MOST_ENTRIES) if isinstance(value, (list, tuple)) else (value,)
        for one in (name, *items):
            if isinstance(one, str) and not is_storable(text_within(name, one, _LONGEST_VALUE)):
                raise InvalidInput(name[:60], "contains surrogates or NUL, which is no text.")


def aliases_of(aliases: Iterable[str] | str) -> tuple[DnsName, ...]:
    """The names of a list, or of a text with a name per line or between commas."""
    if isinstance(aliases, str):
        aliases = text_within("aliases", aliases, _LONGEST_LIST)
        aliases = aliases.replace(",", "\n").replace(";", "\n").splitlines()
    elif isinstance(aliases, bytes) or not isinstance(aliases, Iterable):
        raise InvalidName("aliases", "must be a list of names.")
    else:
        aliases = counted("aliases", aliases, _MOST_ENTRIES)
    given = [alias for alias in aliases if not isinstance(alias, str) or alias.strip()]
    if len(given) > MAX_NAMES:
        raise InvalidName("aliases", f"{len(given)} names are too many: a certificate carries at most {MAX_NAMES}.")
    return tuple(DnsName.parse(alias, field="aliases") for alias in given)


def fallbacks_of(ids: Iterable[str]) -> tuple[str, ...]:
    """The ids of CA profiles, each once; whether they are there is for the caller to see."""
    if not isinstance(ids, Iterable) or isinstance(ids, bytes):
        raise InvalidInput("fallbacks", "must be a list of ids of CA profiles.")
    given = (ids,) if isinstance(ids, str) else tuple(counted("fallbacks", ids, _MOST_ENTRIES))
    if len(given) > _MAX_FALLBACKS:
        raise InvalidInput("fallbacks", f"are more than {_MAX_FALLBACKS}.")
    if not all(isinstance(one, str) and one for one in given):
        raise InvalidInput("fallbacks", "must be a list of ids of CA profiles.")
    for one in given:
        text_within("fallbacks", one, LONGEST_ID)
    if len(set(given)) != len(given):
        raise InvalidInput("fallbacks", "a CA profile is there twice.")
    return given


def subject_of(subject: Subject | Mapping[str, str] | None, stored: Subject | None = None) -> Subject:
    """A subject: the stored one with what is given."""
    if subject is None or isinstance(subject, Subject):
        return subject or Subject()
    known = Subject.field_names()
    members_of("subject", subject)
    for name in subject:
        if name not in known:
            raise InvalidInput(str(name)[:60], "there is no such subject field.", advice=f"Known: {', '.join(known)}.")
    return evolve(stored or Subject(), **subject)


def owner_of(owner: str) -> str:
    """The tenant."""
    return check_owner(owner)


def true_or_false(field: str, value: object) -> bool:
    """A switch."""
    if not isinstance(value, bool):
        raise InvalidInput(field, "must be true or false.")
    return value


def members_of(field: str, value: object) -> Mapping[str, Any]:
    """What is given for some members of a field, by their names."""
    return members(field, value)


def renewal_of(renewal: RenewalPolicy | Mapping[str, Any] | None, stored: RenewalPolicy | None = None) -> RenewalPolicy:
    """A renewal policy: the stored one with what is given."""
    if renewal is None or isinstance(renewal, RenewalPolicy):
        return renewal or RenewalPolicy()
    known = [one.name for one in fields(RenewalPolicy)]
    members_of("renewal", renewal)
    for name, value in renewal.items():
        if name not in known:
            raise InvalidInput(str(name)[:60], "is no part of a renewal policy.", advice=f"Known: {', '.join(known)}.")
        if name != "days_before":
            true_or_false(name, value)
    return evolve(stored or RenewalPolicy(), **renewal)


def names_given(
    domain: str | None,
    aliases: Iterable[str] | str,
    *,
    wildcard: bool,
    key_type: KeyType | str | None,
    csr: str | bytes | None,
) -> dict[str, Any]:
    """The attributes of a new certificate that say what it is for: from the form, or from the user's own CSR."""
    if csr is not None:
        for field, value in (("domain", domain), ("aliases", aliases), ("wildcard", wildcard), ("key_type", key_type)):
            if value:
                raise InvalidInput(field, "comes from the CSR; leave it out.")
        return _of_csr(csr)
    if domain is None:
        raise InvalidInput("domain", "is required.")
    return {
        "domain": DnsName.parse(domain),
        "aliases": aliases_of(aliases),
        "wildcard": true_or_false("wildcard", wildcard),
        "key_type": KeyType.parse(key_type or KeyType.EC_P256),
    }


def _of_csr(csr: str | bytes) -> dict[str, Any]:
    own = read_csr(csr)
    domain, aliases, wildcard = form_of_names(own.names)
    return {
        "domain": domain,
        "aliases": aliases,
        "wildcard": wildcard,
        "key_type": own.key_type,
        "csr_pem": own.pem,
    }


def given_changes(stored: Certificate, given: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a certificate that change, from what a user gave; None means: not given.

    Args:
        stored: The certificate as it is; of a subject and of module data only the given members change.
        given: By the name of the form's field.

    Raises:
        InvalidInput: A value is wrong; the error names its field.
    """
    csr = given.get("csr")
    changes: dict[str, Any] = _of_csr(csr) if csr else {}
    if csr in ("", b""):
        changes["csr_pem"] = ""
    keeps_csr = bool(csr) or (csr is None and stored.csr_pem)
    for field, value in given.items():
        if value is None or field == "csr":
            continue
        if keeps_csr and field in _OF_CSR:
            attribute, read = _READ[field]
            if read(value) == changes.get(attribute, getattr(stored, attribute)):
                continue  # a form that is posted whole
            raise InvalidInput(
                field, "comes from your CSR.", advice="Give another CSR, or an empty one to have a key made here."
            )
        if field == "module_data":
            changes["module_data"] = {**stored.module_data, **members_of("module_data", value)}
        elif field == "subject":
            changes["subject"] = subject_of(value, stored.subject)
        elif field == "renewal":
            changes["renewal"] = renewal_of(value, stored.renewal)
        else:
            attribute, read = _READ[field]
            changes[attribute] = read(value)
    return changes


def fields_set(given: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """The form's fields that were given and set one of these attributes of a certificate."""
    return [field for field, value in given.items() if value is not None and _ATTRIBUTES[field] in changes]


#: The form's field, the attribute that it sets, and how the value is read.
_READ: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = MappingProxyType(
    {
        "domain": ("domain", DnsName.parse),
        "authority": ("authority_id", lambda value: text_within("authority", str(value), LONGEST_ID) or None),
        "aliases": ("aliases", aliases_of),
        "wildcard": ("wildcard", lambda value: true_or_false("wildcard", value)),
        "fallbacks": ("fallbacks", fallbacks_of),
        "key_type": ("key_type", KeyType.parse),
    }
)
#: The attribute that each field sets, those that are read otherwise included.
_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {field: attribute for field, (attribute, _) in _READ.items()}
    | {"csr": "csr_pem", "subject": "subject", "renewal": "renewal", "module_data": "module_data"}
)
