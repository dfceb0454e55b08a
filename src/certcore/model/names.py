"""The identifiers of certificates: DNS names as A-labels, and IP addresses.

Names are normalised once, when they are parsed: UTS 46 mapping, IDNA 2008 A-labels (RFC 5891), lower case, no trailing
dot. All other code compares plain ASCII.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import idna
from attrs import field, frozen

from certcore.errors import InvalidNameError
from certcore.messages import Message

__all__ = [
    "MAX_COMMON_NAME",
    "MAX_IMPORTED_NAMES",
    "MAX_NAMES",
    "DnsName",
    "Identifier",
    "IpAddress",
    "certificate_names",
    "common_name",
    "covering_names",
    "form_of_names",
    "parse_identifier",
    "share_names",
]

#: The largest number of names in a certificate, which is the limit of public CAs.
MAX_NAMES: Final = 100
#: The largest number of names in an imported certificate: more than any known CA certifies. Renewals allow `MAX_NAMES`.
MAX_IMPORTED_NAMES: Final = 1000
#: The longest common name, in octets (RFC 5280 appendix A.1, ub-common-name).
MAX_COMMON_NAME: Final = 64
#: The longest DNS name, in octets of its text form without the final dot (RFC 1035 section 2.3.4).
_MAX_NAME: Final = 253
#: The longest text that is parsed, in characters.
_MAX_INPUT: Final = 1024
_SHOWN: Final = 60
_NO_ADDRESS: Final = Message(
    "name.address.advice",
    "CAs validate addresses at the address itself, by http-01 or tls-alpn-01 (RFC 8738); "
    "there is no validation by DNS.",
)
#: An LDH label: letters, digits and hyphens (RFC 5890 section 2.3.1).
_LDH: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOOKS_LIKE_URL: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@frozen(order=True)
class DnsName:
    """A DNS name in a certificate, possibly a wildcard (RFC 9525 section 6.3).

    Use `DnsName.parse` to make one; the constructor does not check its argument.
    """

    #: The name as A-labels in lower case; a wildcard begins with ``*.``.
    ascii: str

    @classmethod
    def parse(cls, text: str, *, field: str = "domain") -> DnsName:
        """Parse and normalise a name.

        Args:
            text: The name, in upper or lower case, as U-labels or A-labels, with or without a trailing dot.
            field: The field that errors name.

        Raises:
            InvalidNameError: The text is not a name that a CA certifies; the reason says which rule it breaks.
        """
        if not isinstance(text, str):
            raise InvalidNameError(field, Message("name.not_text", "a domain name must be text."))
        shown = _shorten(text)
        if len(text) > _MAX_INPUT:
            raise _too_long(field, shown)
        name = text.strip()
        if not name:
            raise InvalidNameError(field, Message("name.empty", "a domain name is needed, but it is empty."))
        _refuse_other_things(name, shown, field)
        wildcard = name.startswith("*.")
        base = name[2:] if wildcard else name
        if "*" in base:
            text = "{name} has a * that is not the whole first label; only *.example.com works."
            raise InvalidNameError(field, Message("name.wildcard_inside", text, {"name": shown}))
        encoded = _encode(base, shown, field)
        labels = encoded.split(".")
        if len(labels) == 1:
            text = "{name} has no dot: a full name such as example.com is needed."
            raise InvalidNameError(field, Message("name.no_dot", text, {"name": shown}))
        if labels[-1].isdigit():
            text = "{name} ends in a number, which is not a top-level domain."
            raise InvalidNameError(field, Message("name.ends_in_number", text, {"name": shown}))
        full = f"*.{encoded}" if wildcard else encoded
        if len(full) > _MAX_NAME:
            raise _too_long(field, shown)
        return cls(full)

    @property
    def is_wildcard(self) -> bool:
        """Whether the name has the form ``*.example.com``."""
        return self.ascii.startswith("*.")

    @property
    def base(self) -> DnsName:
        """The name without ``*.``, which is the name that a CA validates (RFC 8555 section 7.1.3)."""
        return DnsName(self.ascii[2:]) if self.is_wildcard else self

    @property
    def unicode(self) -> str:
        """The name as U-labels, for display."""
        prefix = "*." if self.is_wildcard else ""
        try:
            return prefix + idna.decode(self.base.ascii)
        except idna.IDNAError:
            return self.ascii

    def __str__(self) -> str:
        return self.ascii


@frozen
class IpAddress:
    """An IP address as an identifier (RFC 8738)."""

    #: The address in its canonical text form.
    address: str = field()

    @classmethod
    def parse(cls, text: str, *, field: str = "address") -> IpAddress:
        """Parse and normalise an IPv4 or IPv6 address.

        Raises:
            InvalidNameError: The text is not an IP address.
        """
        try:
            return cls(str(ipaddress.ip_address(text[:_MAX_INPUT].strip())))
        except ValueError:
            reason = Message("name.not_an_address", "{name} is not an IP address.", {"name": _shorten(text)})
            raise InvalidNameError(field, reason) from None

    def __str__(self) -> str:
        return self.address


#: The names that a certificate can have.
Identifier = DnsName | IpAddress


def parse_identifier(text: str, *, field: str = "name") -> Identifier:
    """Parse a DNS name or an IP address.

    Raises:
        InvalidNameError: The text is neither.
    """
    if _as_ip(text[:_MAX_INPUT].strip()) is not None:
        return IpAddress.parse(text, field=field)
    return DnsName.parse(text, field=field)


def certificate_names(
    domain: DnsName, aliases: Iterable[DnsName], *, wildcard: bool, most: int = MAX_NAMES
) -> tuple[DnsName, ...]:
    """All names of a certificate: the domain, ``*.domain`` if requested, then the aliases in order.

    Args:
        domain: The primary name.
        aliases: Further names. No more of them are read than are needed to see that there are too many.
        wildcard: Whether ``*.domain`` is one of the names.
        most: The largest number of names.

    Raises:
        InvalidNameError: A name is given twice, or there are too many names.
    """
    names = dict.fromkeys([domain])
    if wildcard:
        if domain.is_wildcard:
            reason = Message("name.already_wildcard", "{name} is already a wildcard.", {"name": domain.ascii})
            raise InvalidNameError("wildcard", reason)
        names[DnsName(f"*.{domain}")] = None
    room = most - len(names)
    further = tuple(islice(aliases, room + 1))
    if len(further) > room:
        text = "there are too many names: a certificate carries at most {count}."
        raise InvalidNameError("aliases", Message("name.too_many", text, {"count": most}))
    for alias in further:
        if alias == domain:
            text = "{name} is the domain itself; leave it out of the aliases."
            raise InvalidNameError("aliases", Message("name.is_the_domain", text, {"name": alias.ascii}))
        if alias in names:
            reason = Message("name.twice", "{name} is there twice.", {"name": alias.ascii})
            raise InvalidNameError("aliases", reason)
        names[alias] = None
    return tuple(names)


def form_of_names(
    names: Sequence[DnsName], *, domain: DnsName | None = None, most: int = MAX_NAMES
) -> tuple[DnsName, tuple[DnsName, ...], bool]:
    """Split the names of a leaf or a CSR into the fields of a form. The inverse of `certificate_names`.

    Args:
        names: The names, at least one.
        domain: The primary name; None for the first name without a wildcard, or else the first name.
        most: The largest number of names.

    Returns:
        The domain, the aliases, and whether ``*.domain`` is one of the names.

    Raises:
        InvalidNameError: There are too many names.
    """
    if domain is None:
        domain = next((name for name in names if not name.is_wildcard), names[0])
    wildcard = not domain.is_wildcard and DnsName(f"*.{domain}") in names
    own = {domain, *([DnsName(f"*.{domain}")] if wildcard else [])}
    aliases = tuple(name for name in dict.fromkeys(names) if name not in own)
    certificate_names(domain, aliases, wildcard=wildcard, most=most)
    return domain, aliases, wildcard


def covering_names(names: Iterable[DnsName]) -> frozenset[str]:
    """The names that cover at least one of the given names: these names and their wildcards (RFC 9525 section 6.3)."""
    covering: set[str] = set()
    for name in names:
        covering.add(name.ascii)
        if not name.is_wildcard:
            covering.add(f"*.{name.ascii.partition('.')[2]}")
    return frozenset(covering)


def share_names(names: Iterable[DnsName], others: Iterable[DnsName]) -> bool:
    """Whether both sets of names cover a common host name."""
    names, others = tuple(names), tuple(others)
    first, second = {name.ascii for name in names}, {name.ascii for name in others}
    return bool(first & covering_names(others)) or bool(second & covering_names(names))


def common_name(names: Iterable[DnsName]) -> str:
    """The subject's common name: the first name if it fits into 64 octets (RFC 5280 appendix A.1), otherwise empty.

    Clients only use the subject alternative names (RFC 9525).
    """
    first = next(iter(names), None)
    return first.ascii if first is not None and len(first.ascii) <= MAX_COMMON_NAME else ""


def _refuse_other_things(name: str, shown: str, field: str) -> None:
    if _as_ip(name) is not None:
        raise _address(field, shown)
    if _LOOKS_LIKE_URL.match(name) or "/" in name:
        inside = _name_in(_LOOKS_LIKE_URL.sub("", name).partition("/")[0].rpartition("@")[2].partition(":")[0])
        raise InvalidNameError(field, _is_url(shown, inside))
    if "@" in name:
        inside = _name_in(name.rpartition("@")[2])
        raise InvalidNameError(field, _is_email(shown, inside))
    if any(character.isspace() or ord(character) < 0x20 for character in name):  # noqa: PLR2004 - C0 controls
        text = "{name} contains white space; give one name."
        raise InvalidNameError(field, Message("name.white_space", text, {"name": shown}))
    if "_" in name:
        text = "{name} has an underscore, which CAs do not certify (host names have none)."
        raise InvalidNameError(field, Message("name.underscore", text, {"name": shown}))
    if ":" in name:
        text = "{name} has a colon; give the host name without a port."
        raise InvalidNameError(field, Message("name.colon", text, {"name": shown}))
    if name.startswith(".") or ".." in name:
        text = "{name} has an empty label (two dots, or a dot in front)."
        raise InvalidNameError(field, Message("name.empty_label", text, {"name": shown}))


def _too_long(field: str, shown: str) -> InvalidNameError:
    text = "{name} is longer than the {count} characters that DNS allows."
    return InvalidNameError(field, Message("name.too_long", text, {"name": shown, "count": _MAX_NAME}))


def _address(field: str, shown: str) -> InvalidNameError:
    reason = Message("name.address", "{name} is an IP address, not a domain name.", {"name": shown})
    return InvalidNameError(field, reason, advice=_NO_ADDRESS)


def _is_url(shown: str, inside: str) -> Message:
    if not inside:
        return Message("name.url", "{name} is a URL; give the host name alone.", {"name": shown})
    text = "{name} is a URL; the name in it is {inside}."
    return Message("name.url_with_name", text, {"name": shown, "inside": inside})


def _is_email(shown: str, inside: str) -> Message:
    if not inside:
        return Message("name.email", "{name} is an e-mail address; give the domain alone.", {"name": shown})
    text = "{name} is an e-mail address; the domain in it is {inside}."
    return Message("name.email_with_domain", text, {"name": shown, "inside": inside})


def _name_in(text: str) -> str:
    """The name in a part of a URL or an e-mail address; empty if the part is not a name."""
    try:
        return "" if "@" in text or "/" in text else DnsName.parse(text).ascii
    except InvalidNameError:
        return ""


def _encode(base: str, shown: str, field: str) -> str:
    try:
        encoded = idna.encode(base, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower()
    except idna.IDNAError as error:
        if _is_in_use(base.lower().removesuffix(".")):
            return base.lower().removesuffix(".")
        if "too long" in str(error).lower():
            text = "{name} is too long: 63 characters a label and 253 in all."
            raise InvalidNameError(field, Message("name.too_long_label", text, {"name": shown})) from None
        params = {"name": shown, "reason": _clean(error)}
        reason = Message("name.not_valid", "{name} is not a valid domain name ({reason}).", params)
        raise InvalidNameError(field, reason) from None
    # UTS 46 maps fullwidth digits and dots, so an address or a trailing dot can only be recognised now.
    encoded = encoded.removesuffix(".")
    if _as_ip(encoded) is not None:
        raise _address(field, shown)
    return encoded


def _is_in_use(name: str) -> bool:
    """Whether DNS and CAs accept a name in ASCII, although IDNA 2008 does not allow its letters, for example emoji.

    Registries of some top-level domains sell such names, and CAs only check that an A-label decodes to a text that
    encodes to the same label.
    """
    labels = name.split(".")
    return len(labels) > 1 and all(map(_is_label_in_use, labels)) and any(label.startswith("xn--") for label in labels)


def _is_label_in_use(label: str) -> bool:
    if not _LDH.fullmatch(label):
        return False
    if not label.startswith("xn--"):
        return label[2:4] != "--"
    try:
        decoded = label[4:].encode().decode("punycode")
        return not decoded.isascii() and decoded.isprintable() and decoded.encode("punycode").decode() == label[4:]
    except (UnicodeError, ValueError, OverflowError):
        return False


def _as_ip(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def _shorten(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _clean(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
