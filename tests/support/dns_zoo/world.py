"""The zoo's little Internet: addresses, a root, a TLD, name servers of customers, a tech zone and resolvers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import dns.name
import dns.zone
from attrs import Factory, define

from certcore.testing.server import Child
from support.dns_zoo import servers
from support.dns_zoo.odd import ODD_ADDRESS, OddServer, OddZone, Quirk
from support.dns_zoo.servers import Authoritative, add_addresses, silence
from support.dns_zoo.signing import Key

__all__ = [
    "BIND",
    "CUSTOMERS",
    "KNOT",
    "KNOT2",
    "NSD",
    "POWERDNS",
    "RESOLVER",
    "ROOT",
    "TECH_SERVERS",
    "World",
    "started",
]

#: How often servers are told to read a zone anew, and the seconds that they get each time.
_RELOADS = 10
_RELOADED_WITHIN = 3.0
ROOT = "192.0.2.1"
TLD = "192.0.2.2"
NSD = Authoritative("nsd", "nsd", ("192.0.2.31", "2001:db8::31"))
KNOT = Authoritative("knot", "knotd", ("192.0.2.21", "2001:db8::21"))
KNOT2 = Authoritative("knot2", "knotd", ("192.0.2.22", "2001:db8::22"))
BIND = Authoritative("bind", "named", ("192.0.2.11", "2001:db8::11"))
POWERDNS = Authoritative("pdns", "pdns_server", ("192.0.2.41", "2001:db8::41"))
CUSTOMERS = (NSD, KNOT, KNOT2, BIND, POWERDNS)
#: The tech zone's servers; certcore's own server listens there.
TECH_SERVERS = ("192.0.2.51", "192.0.2.52")
RESOLVER = "192.0.2.61"
#: A resolver whose answers are made up, and one with a view of its own.
REWRITING_RESOLVER = "192.0.2.62"
INNER_RESOLVER = "192.0.2.63"
#: A resolver of another make: PowerDNS's.
OTHER_RESOLVER = "192.0.2.64"
#: Addresses on which nothing listens.
CLOSED = "192.0.2.92"
DEAD_SIX = "2001:db8::dead"
OTHERS = (
    ODD_ADDRESS,
    ROOT,
    TLD,
    *TECH_SERVERS,
    RESOLVER,
    REWRITING_RESOLVER,
    INNER_RESOLVER,
    OTHER_RESOLVER,
    CLOSED,
    DEAD_SIX,
    servers.SILENT,
)


def started(stack: contextlib.ExitStack, starts: Iterable[Callable[[], Child]]) -> list[Child]:
    """Start servers side by side; they are stopped when the stack is closed."""
    with ThreadPoolExecutor() as threads:
        running = [threads.submit(start) for start in starts]
    children = [each.result() for each in running]
    for child in children:
        stack.callback(child.stop)
    return children


def _soa(zone: str, minimum: int, serial: int = 1) -> str:
    suffix = f"{zone}." if zone else ""
    soa = f"@ {minimum} IN SOA ns.{suffix} hostmaster.{suffix} {serial} 3600 600 604800 {minimum}"
    return f"$ORIGIN {suffix or '.'}\n$TTL 5\n{soa}\n"


@define
class World:
    """What every server is to serve, collected from the set-ups before the servers start."""

    #: Zone text by server's name and zone.
    zones: dict[str, dict[str, str]] = Factory(dict)
    #: More lines of the zone of the name servers' own names.
    hosts: list[str] = Factory(list)
    #: Lines of the TLD's zone.
    tld: list[str] = Factory(list)
    #: What a client's address sees at BIND instead: zones by address.
    views: dict[str, dict[str, str]] = Factory(dict)
    #: Zones of the odd server.
    odd: dict[dns.name.Name, OddZone] = Factory(dict)
    #: Zones that Knot signs, and that BIND does, each with keys of its own.
    signed: list[str] = Factory(list)
    signed_by_bind: list[str] = Factory(list)
    #: Keys that resolvers trust, beside those of the zones that Knot signs: DNSKEY or DS records.
    anchors: list[str] = Factory(list)
    #: Keys of zones that are signed, or are to be signed, before a server gets them.
    keys: dict[str, Key] = Factory(dict)
    #: Serial of the zone that was written last.
    serial: int = 0
    _children: dict[str, Child] = Factory(dict)

    def zone(
        self,
        zone: str,
        records: str = "",
        *,
        at: Iterable[Authoritative] = (KNOT,),
        ns: Iterable[str] | None = None,
        minimum: int = 5,
    ) -> None:
        """Serve a zone at these servers. `records` is master-file text; the zone's SOA and NS are added.

        Args:
            zone: Its name without a final dot.
            records: More records, relative to the zone.
            at: The servers.
            ns: Other NS host names than those of the servers.
            minimum: How long resolvers keep a negative answer, seconds.
        """
        hosts = [f"{server.name}.hosts.test." for server in at] if ns is None else list(ns)
        self.serial += 1
        text = _soa(zone, minimum, self.serial) + "".join(f"@ IN NS {host}\n" for host in hosts) + records
        for server in at:
            self.zones.setdefault(server.name, {})[zone] = text

    def delegate(self, zone: str, *hosts: str, glue: Mapping[str, str] | None = None) -> None:
        """Delegate a zone below ``test.`` to these host names, with addresses for those inside of it."""
        self.tld += [f"{zone}. IN NS {host}" for host in hosts]
        for host, address in (glue or {}).items():
            self.tld.append(f"{host} IN {'AAAA' if ':' in address else 'A'} {address}")

    def domain(self, zone: str, records: str = "", *, at: Iterable[Authoritative] = (KNOT,), minimum: int = 5) -> None:
        """Serve a zone and delegate it to its servers."""
        servers_of_zone = tuple(at)
        self.zone(zone, records, at=servers_of_zone, minimum=minimum)
        self.delegate(zone, *(f"{server.name}.hosts.test." for server in servers_of_zone))

    def odd_domain(self, zone: str, records: str, quirk: Quirk, values: Iterable[str] = ()) -> None:
        """Serve a zone at the odd server and delegate it."""
        text = _soa(zone, 5) + "@ IN NS odd.hosts.test.\n" + records
        parsed = dns.zone.from_text(text, zone, relativize=False)
        self.odd[dns.name.from_text(zone)] = OddZone(zone=parsed, quirk=quirk, values=tuple(values))
        self.delegate(zone, "odd.hosts.test.")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start all servers but the tech zone's and the resolvers; this namespace gets their addresses."""
        add_addresses((*OTHERS, *(address for server in CUSTOMERS for address in server.addresses)))
        hosts = "".join(
            f"{server.name} IN {'AAAA' if ':' in address else 'A'} {address}\n"
            for server in CUSTOMERS
            for address in server.addresses
        )
        more = (
            f"silent IN A {servers.SILENT}\nclosed IN A {CLOSED}\nodd IN A {ODD_ADDRESS}\n"
            f"six IN AAAA 2001:db8::21\ndeadsix IN AAAA {DEAD_SIX}\n"
            "alias IN CNAME knot.hosts.test.\n"
            f"tech1 IN A {TECH_SERVERS[0]}\ntech2 IN A {TECH_SERVERS[1]}\n"
        )
        self.domain("hosts.test", hosts + more + "".join(f"{line}\n" for line in self.hosts), at=(KNOT, KNOT2))
        glue = {f"{server.name}.hosts.test.": server.addresses[0] for server in (KNOT, KNOT2)}
        self.delegate("hosts.test", glue=glue)
        root = _soa("", 5) + f"@ IN NS a.root.\na.root. IN A {ROOT}\ntest. IN NS a.tld.\na.tld. IN A {TLD}\n"
        with contextlib.ExitStack() as stack:
            for each in (*silence(), OddServer(self.odd)):
                stack.callback(each.close)
            starts: dict[str, Callable[[], Child]] = {
                "root": lambda: servers.nsd([ROOT], {"": root}),
                "tld": lambda: servers.knot([TLD], {"test": self._tld_text()}),
                "nsd": lambda: servers.nsd(NSD.addresses, self.zones.get("nsd", {})),
                "knot": lambda: servers.knot(KNOT.addresses, self.zones.get("knot", {}), self.signed),
                "knot2": lambda: servers.knot(KNOT2.addresses, self.zones.get("knot2", {})),
                "bind": lambda: servers.bind(
                    BIND.addresses, self.zones.get("bind", {}), self.views, signed=self.signed_by_bind
                ),
                "pdns": lambda: servers.powerdns(POWERDNS.addresses, self.zones.get("pdns", {})),
            }
            self._children = dict(zip(starts, started(stack, starts.values()), strict=True))
            yield

    def reload(self, zone: str) -> None:
        """Let the servers of a zone read it anew, after another call of `zone`; returns when they show it."""
        shown = [
            (address, zones[zone])
            for server in CUSTOMERS
            if zone in (zones := self.zones.get(server.name, {}))
            for address in server.addresses[:1]
        ]
        self._rewrite({name: zones[zone] for name, zones in self.zones.items() if zone in zones}, zone, shown)

    def delegate_anew(self, zone: str, *hosts: str) -> None:
        """Replace the delegation of a zone below ``test.``; returns when the TLD's server shows it."""
        self.tld = [line for line in self.tld if not line.startswith(f"{zone}. ")]
        self.delegate(zone, *hosts)
        self.serial += 1
        text = self._tld_text()
        self._rewrite({"tld": text}, "test", [(TLD, text)])

    def _tld_text(self) -> str:
        return _soa("test", 5, self.serial) + "@ IN NS a.tld.\n" + "\n".join(self.tld) + "\n"

    def _rewrite(self, texts: Mapping[str, str], zone: str, shown: Iterable[tuple[str, str]]) -> None:
        """Give servers, by their names, other content of a zone; returns when these addresses show these texts."""
        for _ in range(_RELOADS):
            for name, text in texts.items():
                servers.rewrite(self._children[name], zone, text)
            # A server that was reading its zones already may have missed the signal.
            deadline = time.monotonic() + _RELOADED_WITHIN
            while time.monotonic() < deadline:
                if all(servers.shows(address, zone, text) for address, text in shown):
                    return
                time.sleep(0.02)
        raise RuntimeError(f"the servers of {zone} do not show its new content")
