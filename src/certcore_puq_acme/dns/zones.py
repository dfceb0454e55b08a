"""Find the zone of a name and its authoritative servers, by following the delegations from the root.

A resolver is only asked for the servers of the root. Everything else is asked of authoritative servers, so that no
resolver caches a negative answer because of certcore. Names are resolved label by label (RFC 9156), and names in the
same zone share the queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from certcore.messages import Message
from certcore_puq_acme.dns.asking import BRIEF, TOO_MANY, TOO_SLOW, Asking, QuestionBudget
from certcore_puq_acme.dns.port import Answer, Question
from certcore_puq_acme.profile.settings import NameServer, ServersAsked

__all__ = ["FoundZone", "ServerAddress", "ZoneFinder", "ZoneLookup", "ZoneMemory", "is_in", "parent_name"]

#: The largest number of name servers of a zone, and of their addresses, that are queried.
_MOST_HOSTS: Final = 8
_MOST_ADDRESSES: Final = 16
#: The deepest recursion for names of name servers, whose zones must be found first.
_MOST_DEPTH: Final = 3
_MOST_LABELS: Final = 40
#: How many servers of a zone are first asked for a delegation.
_FIRST: Final = 2
#: How many seconds the servers of the root and of top-level domains, and a closed port 53, are cached.
_REMEMBERED: Final = 3600.0
_CLOSED_FOR: Final = 600.0
_MOST_REMEMBERED: Final = 2000


@frozen
class ServerAddress:
    """One address of one authoritative server."""

    host: str
    address: str

    @property
    def server(self) -> NameServer:
        """The address and port for queries."""
        return NameServer(self.address)

    def __str__(self) -> str:
        return f"{self.host} ({self.address})"


@frozen(kw_only=True)
class FoundZone:
    """A zone with the servers that it is delegated to."""

    #: A-labels without the final dot; empty for the root.
    apex: str
    #: The zone that delegates it.
    parent: str = ""
    #: The names of all servers.
    hosts: tuple[str, ...] = ()
    #: The addresses that may be asked, IPv4 first.
    servers: tuple[ServerAddress, ...] = ()
    #: The names of servers without an address.
    without_address: tuple[str, ...] = ()
    #: The addresses of this machine or of private networks, which are not queried.
    not_asked: tuple[ServerAddress, ...] = ()

    @property
    def called(self) -> Message | str:
        """Its displayed name."""
        return self.apex or Message("puq_acme.dns.root", "the root")

    @property
    def is_ipv6_only(self) -> bool:
        """Whether all its servers' addresses are IPv6."""
        known = (*self.servers, *self.not_asked)
        return bool(known) and all(":" in server.address for server in known)


@frozen(kw_only=True)
class ZoneLookup:
    """The zones of a name."""

    name: str
    #: The zones from the root to the zone of the name, as far as the delegations could be followed.
    path: tuple[FoundZone, ...] = ()
    #: The name, or an ancestor of it below the last zone, that does not exist; empty if all exist.
    missing: str = ""
    #: The answers of the last zone's servers if none of them was usable.
    broken: tuple[tuple[ServerAddress, Answer], ...] = ()
    #: Whether no server of the last zone can be used: they fail, or have no address that may be queried.
    is_broken: bool = False
    #: Whether only resolvers are used, because port 53 to the outside is closed or the root's servers are unknown.
    is_closed: bool = False

    @property
    def zone(self) -> FoundZone:
        """The last zone that was found."""
        return self.path[-1] if self.path else FoundZone(apex="")


@frozen
class _Remembered:
    until: float
    zone: FoundZone | None


@define(eq=False)
class ZoneMemory:
    """A cache between checks: the servers of the root and of top-level domains, and whether port 53 is closed."""

    _zones: dict[tuple[object, str], _Remembered] = field(factory=dict)

    def get(self, key: object, apex: str, now: float) -> _Remembered | None:
        """The cached entry of a zone, in which ``zone`` is None if port 53 is closed; None if there is no entry."""
        known = self._zones.get((key, apex))
        return known if known is not None and now < known.until else None

    def put(self, key: object, zone: FoundZone | None, now: float) -> None:
        """Cache a zone. None for the root means that port 53 is closed."""
        if len(self._zones) >= _MOST_REMEMBERED:
            self._zones.clear()
        apex, life = ("", _CLOSED_FOR) if zone is None else (zone.apex, _REMEMBERED)
        self._zones[key, apex] = _Remembered(now + life, zone)

    def forget(self, key: object) -> None:
        """Drop the cached zones, but not the fact that port 53 is closed."""
        for known in [known for known in list(self._zones) if known[0] == key and known[1]]:
            self._zones.pop(known, None)


@define(eq=False)
class ZoneFinder:
    """Finds zones within one check.

    Args:
        asking: Sends the queries.
        resolvers: The resolvers that are asked for the root's servers.
        policy: Which servers may be queried.
        memory: The cache of earlier checks.
        patience: The seconds to wait after each sending of a query to a resolver.
    """

    asking: Asking
    resolvers: tuple[NameServer, ...]
    policy: ServersAsked
    memory: ZoneMemory
    patience: tuple[float, ...]
    _addresses: dict[str, tuple[str, ...]] = field(factory=dict, init=False)
    _zones: dict[str, FoundZone] = field(factory=dict, init=False)

    @property
    def _key(self) -> object:
        return self.resolvers, self.policy

    def find(self, name: str, budget: QuestionBudget, *, depth: int = 0) -> ZoneLookup:
        """Find the zone of a name.

        Args:
            name: The name as A-labels in lower case, without the final dot.
            budget: The budget of queries.
            depth: 0 for the name itself, more for names of servers.
        """
        root = self._root(budget)
        if root is None:
            return ZoneLookup(name=name, is_closed=True)
        path = [root]
        for label in _downwards(name):
            zone = path[-1]
            known = self._known(label)
            if known is not None and known.parent == zone.apex:
                path.append(known)
                continue
            answers = self._ask_zone(zone, Question(name=label, kind="NS", recursive=False), budget)
            usable = next((answer for _, answer in answers if _is_usable(answer, label, zone)), None)
            if usable is None:
                is_closed = "." not in zone.apex and not _was_cut_short(answers)
                if is_closed:
                    # The servers of the root and of top-level domains always work, so the network must be the fault.
                    self.memory.forget(self._key)
                    self.memory.put(self._key, None, self.asking.monotonic())
                return ZoneLookup(
                    name=name, path=tuple(path), broken=tuple(answers), is_broken=True, is_closed=is_closed
                )
            hosts = _delegated(usable, label)
            if hosts:
                path.append(self._delegate(label, zone, hosts, usable, budget, depth))
            elif usable.rcode == "NXDOMAIN":
                return ZoneLookup(name=name, path=tuple(path), missing=label)
        return ZoneLookup(name=name, path=tuple(path))

    def is_open(self, budget: QuestionBudget) -> bool:
        """Whether the root's servers are known, and port 53 to the outside is not known to be closed."""
        return self._root(budget) is not None

    def _known(self, apex: str) -> FoundZone | None:
        if (zone := self._zones.get(apex)) is not None:
            return zone
        known = self.memory.get(self._key, apex, self.asking.monotonic()) if "." not in apex else None
        return known.zone if known is not None else None

    def _delegate(
        self,
        apex: str,
        zone: FoundZone,
        hosts: Sequence[str],
        answer: Answer,
        budget: QuestionBudget,
        depth: int,
    ) -> FoundZone:
        glue = {
            host: tuple(
                record.value
                for record in (*answer.additional, *answer.answer)
                if record.name == host and record.kind in ("A", "AAAA")
            )
            for host in hosts
            if is_in(host, zone.apex)
        }
        for host in hosts[:_MOST_HOSTS]:
            if is_in(host, apex) and not glue.get(host):
                glue[host] = self._glue(zone, host, budget)
        delegated = self._with_addresses(apex, zone.apex, hosts, glue, budget, depth)
        if depth == 0 or delegated.servers:
            self._zones[apex] = delegated
        if "." not in apex and delegated.servers:
            self.memory.put(self._key, delegated, self.asking.monotonic())
        return delegated

    def _glue(self, zone: FoundZone, host: str, budget: QuestionBudget) -> tuple[str, ...]:
        """The addresses of a server whose name is in its own zone, if a referral did not contain them."""
        addresses: list[str] = []
        for kind in ("A", "AAAA"):
            for _, answer in self._ask_zone(zone, Question(name=host, kind=kind, recursive=False), budget):
                records = (*answer.answer, *answer.additional)
                addresses += [record.value for record in records if record.name == host and record.kind == kind]
        return tuple(dict.fromkeys(addresses))

    def _root(self, budget: QuestionBudget) -> FoundZone | None:
        """The root zone; None if its servers are unknown or port 53 is closed."""
        if self.policy is ServersAsked.NONE:
            return None
        known = self.memory.get(self._key, "", self.asking.monotonic())
        if known is not None:
            return known.zone
        for resolver in self.resolvers:
            if self.asking.is_over or budget.left <= 0:
                return None
            answer = self.asking.ask(resolver, Question(name="", kind="NS"), budget, self.patience[:2])
            hosts = answer.at("", "NS")[:_MOST_HOSTS]
            glue = {host: self._told(resolver, answer, host, budget) for host in hosts[:_FIRST]}
            zone = self._with_addresses("", "", tuple(glue), glue, budget, _MOST_DEPTH)
            if zone.servers:
                self.memory.put(self._key, zone, self.asking.monotonic())
                return zone
        self.memory.put(self._key, None, self.asking.monotonic())
        return None

    def _told(self, resolver: NameServer, answer: Answer, host: str, budget: QuestionBudget) -> tuple[str, ...]:
        """The addresses of a server of the root, from a resolver."""
        kinds = ("A", "AAAA")
        addresses = tuple(record.value for record in answer.additional if record.name == host and record.kind in kinds)
        if addresses:
            return addresses
        questions = (Question(name=host, kind=kind) for kind in kinds)
        answers = [self.asking.ask(resolver, question, budget, self.patience[:2]) for question in questions]
        return tuple(value for kind, answer in zip(kinds, answers, strict=True) for value in answer.values(kind))

    def _ask_zone(
        self, zone: FoundZone, question: Question, budget: QuestionBudget
    ) -> list[tuple[ServerAddress, Answer]]:
        """The answers of two servers of a zone, and of the others if those are not usable."""
        answers: list[tuple[ServerAddress, Answer]] = []
        for batch in (zone.servers[:_FIRST], zone.servers[_FIRST:]):
            batch_answers = self.asking.ask_each([address.server for address in batch], question, budget, BRIEF)
            answers += zip(batch, batch_answers, strict=True)
            if any(_is_usable(answer, question.name, zone) for answer in batch_answers):
                break
        return answers

    def _with_addresses(
        self,
        apex: str,
        parent: str,
        hosts: Sequence[str],
        glue: Mapping[str, tuple[str, ...]],
        budget: QuestionBudget,
        depth: int,
    ) -> FoundZone:
        servers: list[ServerAddress] = []
        not_asked: list[ServerAddress] = []
        without: list[str] = []
        for host in hosts[:_MOST_HOSTS]:
            addresses = glue.get(host) or self._addresses_of(host, apex, budget, depth)
            if not addresses:
                without.append(host)
            for address in addresses:
                (servers if self.policy.allows(address) else not_asked).append(ServerAddress(host, address))
        servers.sort(key=lambda server: ":" in server.address)
        return FoundZone(
            apex=apex,
            parent=parent,
            hosts=tuple(hosts),
            servers=tuple(_each_host_first(servers))[:_MOST_ADDRESSES],
            without_address=tuple(without),
            not_asked=tuple(not_asked)[:_MOST_ADDRESSES],
        )

    def _addresses_of(self, host: str, apex: str, budget: QuestionBudget, depth: int) -> tuple[str, ...]:
        """The addresses of a server's name, from the authoritative servers of the name's zone."""
        if host in self._addresses:
            return self._addresses[host]
        if depth >= _MOST_DEPTH or is_in(host, apex):  # only the glue of the parent zone has them
            return ()
        lookup = self.find(host, budget, depth=depth + 1)
        addresses: list[str] = []
        if not lookup.is_closed and not lookup.is_broken and not lookup.missing:
            for kind in ("A", "AAAA"):
                answers = self._ask_zone(lookup.zone, Question(name=host, kind=kind, recursive=False), budget)
                usable = next((answer for _, answer in answers if answer.is_positive and answer.authoritative), None)
                addresses += usable.at(host, kind) if usable else ()
        if budget.left > 0:
            self._addresses[host] = tuple(addresses)
        return tuple(addresses)


def is_in(name: str, zone: str) -> bool:
    """Whether a name is at or below a zone's apex."""
    return not zone or name == zone or name.endswith(f".{zone}")


def parent_name(name: str) -> str:
    """The name without its first label."""
    return name.partition(".")[2]


def _downwards(name: str) -> Iterator[str]:
    """The ancestors of a name from the top down, and the name."""
    labels = name.split(".")[-_MOST_LABELS:]
    for start in range(len(labels) - 1, -1, -1):
        yield ".".join(labels[start:])


def _was_cut_short(answers: Iterable[tuple[ServerAddress, Answer]]) -> bool:
    """Whether some queries were not sent."""
    return any(answer.failure in (TOO_MANY, TOO_SLOW) for _, answer in answers)


def _is_usable(answer: Answer, name: str, zone: FoundZone) -> bool:
    """Whether an answer is authoritative, or refers to servers of a zone below."""
    if answer.failure or not answer.is_positive:
        return False
    return answer.authoritative or bool(_delegated(answer, name))


def _delegated(answer: Answer, name: str) -> tuple[str, ...]:
    """The servers to which a name is delegated, from a referral or from a server that also serves the zone below."""
    own = answer.at(name, "NS")
    referred = tuple(record.value for record in answer.authority if record.kind == "NS" and record.name == name)
    return tuple(dict.fromkeys(own or (() if answer.answer else referred)))


def _each_host_first(servers: Iterable[ServerAddress]) -> Iterator[ServerAddress]:
    """One address of each server first, then the others."""
    hosts: set[str] = set()
    later: list[ServerAddress] = []
    for server in servers:
        if server.host in hosts:
            later.append(server)
        else:
            hosts.add(server.host)
            yield server
    yield from later
