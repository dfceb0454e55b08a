"""The HTTP API of the PowerDNS Authoritative Server, version 4.2 and later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from certcore.errors import ZoneWriteError
from certcore.messages import Message
from certcore.model.secret import Secret
from certcore.net.failures import NetworkError
from certcore.net.foreign_text import decode_json, printable
from certcore.net.http import HttpClient, HttpReply
from certcore.ports.zone_writers import CnameChange, CnameOutcome, HostedName, TxtChange, ZoneServer

__all__ = ["PowerDnsWriter"]

#: The longest character-string of a TXT record (RFC 1035 section 3.3.14), in bytes.
_LONGEST_STRING: Final = 255
_LONGEST_REASON: Final = 300
_LONGEST_NAME: Final = 254
_LONGEST_TYPE: Final = 20
#: The kinds of zones that are transferred from another server.
_COPIES: Final = frozenset({"Slave", "Secondary", "Consumer"})
_PRINTABLE: Final = range(0x20, 0x7F)

#: The reason and the advice, by HTTP status.
_REFUSALS: Final[Mapping[int, tuple[Message, Message]]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: (
            Message("puq_acme.powerdns.bad_key", "refuses the API key (401)"),
            Message("puq_acme.powerdns.bad_key.advice", "Set the API key again: it is `api-key` in pdns.conf."),
        ),
        HTTPStatus.FORBIDDEN: (
            Message("puq_acme.powerdns.forbidden", "forbids this (403)"),
            Message(
                "puq_acme.powerdns.forbidden.advice", "Permit this machine in `webserver-allow-from` in pdns.conf."
            ),
        ),
        HTTPStatus.NOT_FOUND: (
            Message("puq_acme.powerdns.no_zone", "does not have this zone (404)"),
            Message(
                "puq_acme.powerdns.no_zone.advice",
                "Create the zone there, or name the zone that the tech zone lies in; check the URL of the API, too.",
            ),
        ),
        HTTPStatus.METHOD_NOT_ALLOWED: (
            Message("puq_acme.powerdns.no_changes", "does not accept changes at this URL (405)"),
            Message(
                "puq_acme.powerdns.no_changes.advice",
                "Name the URL of the API as https://dns.example.net:8081, with a path only where a proxy has one.",
            ),
        ),
        HTTPStatus.UNPROCESSABLE_ENTITY: (
            Message("puq_acme.powerdns.refused_values", "refuses the values (422)"),
            Message(
                "puq_acme.powerdns.refused_values.advice",
                "If it reports a conflict, the name has another record, such as a CNAME: remove it.",
            ),
        ),
    }
)


@frozen(kw_only=True)
class PowerDnsWriter:
    """Replaces the TXT values of names with one PATCH; implements `ZoneWriter` and `WritesCnames` of `certcore.ports`.

    PowerDNS cannot add a single value. So all values of a name are written, as they are in certcore's ledger. Values
    are never read from the server and written back, because two such writers would lose each other's values.
    """

    #: The URL of the server in the API: ``…/api/v1/servers/localhost``.
    url: str
    key: Secret = field(repr=False)
    http: HttpClient
    name: str = "powerdns"
    #: With its SQLite backend, PowerDNS answers 500 ("database is locked") to most concurrent changes.
    one_at_a_time: bool = True

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        """See `certcore.ports.zone_writers.ZoneWriter.write`.

        Raises:
            ZoneWriteError: The server cannot be reached, or refuses.
        """
        if not changes:
            return
        self._patch(zone, [_rrset(change, ttl) for change in changes])

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        """An empty sequence, because the address of the API may not be that of a name server."""
        del zone
        return ()

    def look_up(self, name: str) -> HostedName | None:
        """See `certcore.ports.zone_writers.WritesCnames.look_up`. Delegations inside a zone are ignored.

        Raises:
            ZoneWriteError: The server cannot be reached.
        """
        labels = name.split(".")
        for start in range(len(labels) - 1):
            zone = ".".join(labels[start:])
            zones = self._get(zone, f"{self.url}/zones?zone={zone}.", list)
            if zones and all(isinstance(each, dict) and each.get("kind") in _COPIES for each in zones):
                return None  # the next zone transfer overwrites changes of a copy
            if zones:
                return HostedName(zone=zone, target=_cname_in(self._at(zone, name)))
        return None

    def set_cname(self, zone: str, name: str, target: str, *, ttl: int) -> CnameChange:
        """See `certcore.ports.zone_writers.WritesCnames.set_cname`.

        The API cannot check and set in one step. A CNAME that somebody sets in between is replaced.

        Raises:
            ZoneWriteError: The server cannot be reached, or refuses.
        """
        rrsets = self._at(zone, name)
        if not rrsets:
            records = [{"content": f"{target}.", "disabled": False}]
            rrset = {"name": f"{name}.", "type": "CNAME", "changetype": "REPLACE", "ttl": ttl, "records": records}
            self._patch(zone, [rrset])
            return CnameChange(outcome=CnameOutcome.SET)
        if _cname_in(rrsets) == target:
            return CnameChange(outcome=CnameOutcome.PRESENT)
        kinds = ", ".join(sorted({printable(rrset.get("type"), _LONGEST_TYPE) for rrset in rrsets}))
        known = _cname_in(rrsets)
        return CnameChange(outcome=CnameOutcome.OCCUPIED, seen=f"CNAME {known}" if known else kinds)

    def remove_cname(self, zone: str, name: str, target: str) -> None:
        """See `certcore.ports.zone_writers.WritesCnames.remove_cname`.

        Raises:
            ZoneWriteError: The server cannot be reached, or refuses.
        """
        if _cname_in(self._at(zone, name)) == target:
            self._patch(zone, [{"name": f"{name}.", "type": "CNAME", "changetype": "DELETE"}])

    def _at(self, zone: str, name: str) -> list[Mapping[str, Any]]:
        """The RRsets at a name. An unreadable reply is an error, because existing records could be overwritten."""
        document = self._get(zone, f"{self.url}/zones/{zone}.?rrset_name={name}.", dict)
        rrsets = document.get("rrsets")
        if not isinstance(rrsets, list) or not all(isinstance(rrset, dict) for rrset in rrsets):
            raise self._unreadable(zone)
        # Versions without this parameter return the whole zone.
        return [rrset for rrset in rrsets if str(rrset.get("name")).lower() == f"{name}."]

    def _get(self, zone: str, url: str, kind: type) -> Any:
        document = decode_json(self._request("GET", url, zone, None).body)
        if not isinstance(document, kind):
            raise self._unreadable(zone)
        return document

    def _unreadable(self, zone: str) -> ZoneWriteError:
        text = "Check that the URL is that of the API of a PowerDNS Authoritative Server."
        reason = Message("puq_acme.powerdns.no_answer", "sent no usable answer")
        return ZoneWriteError(self._host, zone, reason, advice=Message("puq_acme.powerdns.no_answer.advice", text))

    def _patch(self, zone: str, rrsets: Sequence[Mapping[str, Any]]) -> None:
        self._request("PATCH", f"{self.url}/zones/{zone}.", zone, json.dumps({"rrsets": rrsets}).encode())
        # Otherwise secondaries are notified up to a minute later. PowerDNS refuses this for zones without secondaries.
        with suppress(ZoneWriteError):
            self._request("PUT", f"{self.url}/zones/{zone}./notify", zone, b"")

    def _request(self, method: str, url: str, zone: str, body: bytes | None) -> HttpReply:
        headers = {
            "X-API-Key": self.key.reveal_text(),
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        try:
            reply = self.http.request(method, url, body=body, headers=headers)
        except NetworkError as error:
            text = "Check the URL of the API, and that its server runs and can be reached from this machine."
            advice = Message("puq_acme.powerdns.unreachable.advice", text)
            raise ZoneWriteError(error.host or "of the API", zone, error.clause_text, advice=advice) from None
        if not 200 <= reply.status < 300:  # noqa: PLR2004 - RFC 9110 section 15.3
            raise self._refused(zone, reply)
        return reply

    @property
    def _host(self) -> str:
        return self.url.split("/", 3)[2]

    def _refused(self, zone: str, reply: HttpReply) -> ZoneWriteError:
        plain = (
            Message("puq_acme.powerdns.status", "answered with HTTP status {status}", {"status": reply.status}),
            Message("puq_acme.powerdns.status.advice", "Look at its log."),
        )
        reason, advice = _REFUSALS.get(reply.status, plain)
        document = decode_json(reply.body)
        server_error = printable(document.get("error"), _LONGEST_REASON) if isinstance(document, dict) else ""
        if server_error:
            reason = Message("puq_acme.powerdns.said", "{reason}: {said}", {"reason": reason, "said": server_error})
        return ZoneWriteError(self._host, zone, reason, advice=advice)


def _cname_in(rrsets: Sequence[Mapping[str, Any]]) -> str:
    """The target of the CNAME in the RRsets of a name; empty if there is none."""
    for rrset in rrsets:
        records = rrset.get("records")
        if rrset.get("type") == "CNAME" and isinstance(records, list):
            contents = [record.get("content") for record in records if isinstance(record, dict)]
            return printable(contents[0] if contents else "", _LONGEST_NAME).removesuffix(".").lower()
    return ""


def _rrset(change: TxtChange, ttl: int) -> dict[str, Any]:
    rrset: dict[str, Any] = {"name": f"{change.name}.", "type": "TXT"}
    if not change.values:
        return {**rrset, "changetype": "DELETE"}
    records = [{"content": _quoted(value), "disabled": False} for value in change.values]
    return {**rrset, "changetype": "REPLACE", "ttl": ttl, "records": records}


def _quoted(value: str) -> str:
    """A TXT value in presentation form (RFC 1035 section 5.1): quoted strings of 255 bytes at most."""
    data = value.encode("utf-8")
    strings = [data[start : start + _LONGEST_STRING] for start in range(0, len(data), _LONGEST_STRING)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, string))}"' for string in strings)


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return f"\\{chr(byte)}"
    return chr(byte) if byte in _PRINTABLE else f"\\{byte:03d}"
