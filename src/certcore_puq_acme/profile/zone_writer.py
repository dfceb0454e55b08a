"""Make the writer of a CA profile's tech zone."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.net.http import HttpClient
from certcore.net.tls import tls_context
from certcore.ports.zone_writers import ZoneServer, ZoneWriter
from certcore_puq_acme.profile.settings import AcmeContext, NameServer, PuqAcmeProfile, ZoneWriterKind
from certcore_puq_acme.techzone.hosted_cnames import HostedCnames
from certcore_puq_acme.techzone.publication import Publication
from certcore_puq_acme.techzone.writers.lexicon import LexiconWriter

__all__ = [
    "ZoneConnections",
    "hosted_cnames_of",
    "publication_of",
    "servers_that_show",
    "written_server",
    "zone_advice",
]

#: The default path of PowerDNS's API.
_POWERDNS_PATH: Final = "/api/v1/servers/localhost"
#: The longest timeout for a DNS server, in seconds, whatever the timeout for the CA.
_LONGEST_TIMEOUT: Final = 20
#: The seconds for a connection to an API, and the seconds for its TLS handshake.
_CONNECT_TIMEOUT: Final = 3.0
#: The largest number of connection pools, one for each set of settings.
_MOST_POOLS: Final = 32
#: The longest call of a writer (see `certcore.ports.zone_writers.ZoneWriter.write`), with a margin.
_LONGEST_CALL: Final = timedelta(seconds=65)


@frozen(eq=False)
class ZoneConnections:
    """The connection pools for the APIs of DNS servers. Each module object has one.

    A forked child gets empty pools, see `certcore.net.http.HttpClient`.
    """

    _clients: dict[tuple[float, str | None], HttpClient] = field(factory=dict, init=False, repr=False)

    def client(self, url: str, *, timeout: float, extra_roots: str) -> HttpClient:
        """The pool for a URL. Calls with the same settings get the same pool.

        Args:
            url: A URL of the API.
            timeout: The seconds to send a request, and the seconds to receive its whole reply.
            extra_roots: Trusted root certificates in PEM, in addition to the system's.
        """
        is_plain = url.startswith("http://")
        key = (timeout, None if is_plain else extra_roots)
        known = self._clients.get(key)
        if known is not None:
            return known
        if len(self._clients) >= _MOST_POOLS:
            self._clients.clear()
        # Plain HTTP needs no roots, and reading the system's roots takes longer than a change of a zone.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else tls_context(extra_roots=extra_roots)
        made = HttpClient(timeout=timeout, connect_timeout=min(timeout, _CONNECT_TIMEOUT), tls=tls)
        return self._clients.setdefault(key, made)


def publication_of(context: AcmeContext, connections: ZoneConnections) -> Publication | None:
    """The publication of TXT values in a CA profile's tech zone; None for certcore's own server, which reads the store.

    Does not connect.

    Args:
        context: The context of the CA profile.
        connections: The connection pools to use.
    """
    profile = context.profile
    kind = ZoneWriterKind(profile.zone_writer)
    if kind is ZoneWriterKind.EMBEDDED:
        return None
    server, zone = _server(kind, profile), profile.written_zone.ascii
    return Publication(
        documents=context.documents,
        environment=context.environment,
        zone=zone,
        ttl=profile.ttl,
        server=server,
        target=f"{server} {zone}",
        writer=lambda: _writer(kind, profile, context.zone_writers, connections),
        lease=_lease(kind, profile),
    )


def hosted_cnames_of(context: AcmeContext, connections: ZoneConnections) -> HostedCnames:
    """The CNAMEs of domains whose zones are on the CA profile's DNS server.

    Does not connect.

    Args:
        context: The context of the CA profile.
        connections: The connection pools to use.
    """
    profile = context.profile
    kind = ZoneWriterKind(profile.zone_writer)
    is_embedded = kind is ZoneWriterKind.EMBEDDED
    return HostedCnames(
        documents=context.documents,
        environment=context.environment,
        server="" if is_embedded else _server(kind, profile),
        is_on=profile.set_cnames and not is_embedded,
        ttl=profile.ttl,
        writer=lambda: _writer(kind, profile, context.zone_writers, connections),
        lease=_lease(kind, profile),
    )


def _lease(kind: ZoneWriterKind, profile: PuqAcmeProfile) -> timedelta:
    """How long other processes wait after the crash of a process that was writing.

    A server may execute the last request until the timeout has passed. If it replaces all values of a name, a shorter
    wait could bring back old values. The margin allows for different clocks. A call that takes longer is detected and
    repeated.
    """
    has_a_minute = kind in (ZoneWriterKind.PLUGIN, ZoneWriterKind.LEXICON)
    return _LONGEST_CALL if has_a_minute else timedelta(seconds=2 * _timeout(profile) + 15)


def written_server(profile: PuqAcmeProfile) -> str | Message:
    """The name of the server that the tech zone is written to: an address, the API's URL, or a plugin's name."""
    kind = ZoneWriterKind(profile.zone_writer)
    return _where(kind, profile) or kind.label


def zone_advice(profile: PuqAcmeProfile) -> Message:
    """What the operator can do while a value of certcore is not visible in the DNS."""
    zone = profile.written_zone.ascii
    if profile.zone_writer == ZoneWriterKind.EMBEDDED:
        text = (
            "Check that the zone {zone} is delegated to the server that runs `certcore dns serve`, that this server "
            "runs, and that it can be reached on UDP and TCP port 53."
        )
        return Message("puq_acme.zone_advice.embedded", text, {"zone": zone})
    text = (
        "Check that the zone {zone} is delegated to name servers that copy it from {server}, that they copy each "
        "change within seconds (NOTIFY), and that they can be reached on UDP and TCP port 53."
    )
    return Message("puq_acme.zone_advice.foreign", text, {"zone": zone, "server": written_server(profile)})


def servers_that_show(profile: PuqAcmeProfile, publication: Publication) -> tuple[NameServer, ...]:
    """The name servers that must publish a value before the CA validates: those of the CA profile, or of the writer.

    Raises:
        InvalidInputError: There is no such writer.
    """
    if profile.zone_shown_by:
        return profile.zone_shown_by
    named = [NameServer(address) for server in profile.tech_zone_nameservers for address in server.addresses]
    known = [_name_server(server) for server in publication.servers()]
    return tuple(dict.fromkeys((*known, *named)))


def _server(kind: ZoneWriterKind, profile: PuqAcmeProfile) -> str:
    """The name of the server in the documents."""
    return f"{kind} {_where(kind, profile)}"


def _where(kind: ZoneWriterKind, profile: PuqAcmeProfile) -> str:
    """The address or URL of the server; empty for certcore's own server and for that of a plugin."""
    return {
        ZoneWriterKind.EMBEDDED: "",
        ZoneWriterKind.RFC2136: str(profile.zone_primary),
        ZoneWriterKind.POWERDNS: profile.zone_api_url,
        ZoneWriterKind.LEXICON: profile.zone_provider,
        ZoneWriterKind.PLUGIN: profile.zone_plugin,
    }[kind]


def _writer(
    kind: ZoneWriterKind, profile: PuqAcmeProfile, plugins: Mapping[str, ZoneWriter], connections: ZoneConnections
) -> ZoneWriter:
    if kind is ZoneWriterKind.RFC2136 and profile.zone_primary and profile.zone_tsig_secret:
        from certcore_puq_acme.techzone.writers.rfc2136 import Rfc2136Writer  # noqa: PLC0415 - dnspython costs 0.1 s

        return Rfc2136Writer(
            server=ZoneServer(profile.zone_primary.address, profile.zone_primary.port),
            key_name=profile.zone_tsig_name,
            key=profile.zone_tsig_secret,
            algorithm=profile.zone_tsig_algorithm,
            timeout=_timeout(profile),
        )
    if kind is ZoneWriterKind.POWERDNS and profile.zone_api_key:
        from certcore_puq_acme.techzone.writers.powerdns import PowerDnsWriter  # noqa: PLC0415 - not needed elsewhere

        has_path = profile.zone_api_url.count("/") > 2  # noqa: PLR2004 - those of https://
        url = profile.zone_api_url if has_path else f"{profile.zone_api_url}{_POWERDNS_PATH}"
        http = connections.client(url, timeout=_timeout(profile), extra_roots=profile.trusted_roots)
        return PowerDnsWriter(url=url, key=profile.zone_api_key, http=http)
    if kind is ZoneWriterKind.LEXICON and profile.zone_provider:
        return LexiconWriter(provider=profile.zone_provider, options=profile.zone_provider_options)
    if kind is ZoneWriterKind.PLUGIN:
        return _of_plugin(profile.zone_plugin, plugins)
    raise InvalidInputError(
        "zone_writer",
        Message("puq_acme.writer.incomplete", "the settings of {writer} are not complete.", {"writer": kind}),
        advice=Message("puq_acme.writer.incomplete.advice", "Edit the CA profile."),
    )


def _of_plugin(name: str, plugins: Mapping[str, ZoneWriter]) -> ZoneWriter:
    known = ", ".join(sorted(plugins)) or "none"
    if name in plugins:
        return plugins[name]
    if not name and len(plugins) == 1:
        return next(iter(plugins.values()))
    params = {"name": repr(name), "known": known}
    if name:
        reason = Message("puq_acme.writer.unknown", "there is no writer named {name}; choose one of: {known}.", params)
    else:
        reason = Message("puq_acme.writer.which", "there are several writers; name one of: {known}.", params)
    advice = Message("puq_acme.writer.unknown.advice", "Install the plugin that provides it, or choose another writer.")
    raise InvalidInputError("zone_plugin", reason, advice=advice)


def _timeout(profile: PuqAcmeProfile) -> float:
    return float(min(profile.api_timeout, _LONGEST_TIMEOUT))


def _name_server(server: ZoneServer) -> NameServer:
    return NameServer(server.address, server.port)
