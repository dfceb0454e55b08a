"""The DNS servers in a CA profile: name servers and secondaries of the tech zone, and servers to query."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from attrs import frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.names import DnsName
from certcore.model.subject import parse_email
from certcore.model.transfer_keys import parse_key_name
from certcore.ports.dns import SecondaryServer

__all__ = [
    "NameServer",
    "ZoneServerName",
    "parse_mailbox",
    "parse_name_server",
    "parse_secondary",
    "parse_zone",
    "parse_zone_server",
]

_DNS_PORT: Final = 53
_MAX_PORT: Final = 65535
_MAX_LABEL: Final = 63


@frozen
class NameServer:
    """A DNS server by address and port."""

    address: str
    port: int = _DNS_PORT

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port == _DNS_PORT else f"{host}:{self.port}"


@frozen
class ZoneServerName:
    """A name server of the tech zone: its host name, and its addresses if the name is inside the zone."""

    host: str
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.host, *self.addresses))


def parse_mailbox(text: str, field: str) -> str:
    """Read an e-mail address that the SOA record can contain as a domain name; raises as `parse_name_server`."""
    local, _, domain = parse_email(text, field=field).rpartition("@")
    if len(local) > _MAX_LABEL:
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.zone.long_mailbox", "must have at most {most} characters before the @.", {"most": _MAX_LABEL}
            ),
        )
    return f"{local}@{DnsName.parse(domain, field=field).ascii}"


def parse_zone(text: str, field: str) -> DnsName:
    """Read a zone's name; raises as `parse_name_server`."""
    name = DnsName.parse(text, field=field)
    if name.is_wildcard:
        raise InvalidInputError(field, Message("puq_acme.zone.wildcard", "a zone is not a wildcard."))
    return name


def parse_name_server(text: str, field: str) -> NameServer:
    """Read an IP address with an optional port. An IPv6 address with a port is in brackets.

    Raises:
        InvalidInputError: The text is invalid; the error names the field.
    """
    bracketed = re.fullmatch(r"\[(.+)\](?::(\d+))?", text)
    plain = re.fullmatch(r"([0-9.]+)(?::(\d+))?", text)
    host, port = bracketed.groups() if bracketed else plain.groups() if plain else (text, None)
    number = int(port) if port and len(port) <= 5 else _DNS_PORT  # noqa: PLR2004 - longer is out of range anyway
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.server.not_an_address_with_port",
                "{server} is not an IP address with an optional :port.",
                {"server": repr(text[:60])},
            ),
        ) from None
    if not 1 <= number <= _MAX_PORT or (port and len(port) > 5):  # noqa: PLR2004
        raise InvalidInputError(
            field, Message("puq_acme.server.port", "the port of {server} is out of range.", {"server": repr(text[:60])})
        )
    return NameServer(address, number)


def parse_secondary(text: str, field: str) -> SecondaryServer:
    """Read the address of a secondary and the name of its key; raises as `parse_name_server`."""
    place, *key = text.split()
    if len(key) > 1:
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.server.too_much",
                "{server} has more parts than an address and a key name.",
                {"server": repr(text[:60])},
            ),
        )
    server = parse_name_server(place, field)
    return SecondaryServer(
        address=server.address, port=server.port, key=parse_key_name(key[0], field=field) if key else ""
    )


def parse_zone_server(text: str, field: str) -> ZoneServerName:
    """Read a host name and its addresses; raises as `parse_name_server`."""
    host, *addresses = text.split()
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InvalidInputError(
                field,
                Message(
                    "puq_acme.server.not_an_address", "{address} is not an IP address.", {"address": repr(address[:60])}
                ),
            ) from None
    return ZoneServerName(
        parse_zone(host, field).ascii, tuple(str(ipaddress.ip_address(address)) for address in addresses)
    )
