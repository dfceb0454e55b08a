"""What owners' DNS looks like: at least sixty broken set-ups, and healthy ones in which nothing is to be reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import field, frozen

from support.dns_zoo.odd import Quirk
from support.dns_zoo.signing import Key, signed_long_ago
from support.dns_zoo.world import BIND, INNER_RESOLVER, KNOT, KNOT2, NSD, POWERDNS, World

__all__ = ["ISSUER", "SET_UPS", "SetUp"]

#: Builds a set-up's zones: the world, the domain and the right targets of its CNAMEs, one for each name.
Build = Callable[[World, str, Sequence[str]], None]
#: The CA's name in CAA records.
ISSUER = "ca.test"


#: What follows from servers of the domain that do not answer.
_RESOLVERS = frozenset({"resolver_fails", "resolver_silent"})


@frozen(kw_only=True)
class SetUp:
    """One owner's DNS."""

    #: Unique; the domain is made from it.
    name: str
    build: Build
    #: The code that a person should read first; empty for a healthy one.
    expected: str
    #: Names of the certificate, relative to the domain; "@" is the domain itself.
    names: Sequence[str] = ("@",)
    #: What is special about the CA profile: see `support.dns_zoo.visit`.
    profile: str = "usual"
    #: Codes that may follow the first; others than these and the first are faults, too.
    beside: frozenset[str] = field(default=frozenset(), converter=frozenset)

    @property
    def domain(self) -> str:
        """The domain."""
        return f"{self.name}.test"


def _served(records: str, at: Iterable = (KNOT, NSD), minimum: int = 5) -> Build:
    """A domain with these records; ``{d}`` is the domain, ``{t}`` the right target."""

    def build(world: World, domain: str, targets: Sequence[str]) -> None:
        world.domain(domain, _filled(records, domain, targets), at=at, minimum=minimum)

    return build


def _filled(records: str, domain: str, targets: Sequence[str]) -> str:
    label, _, zone = targets[0].partition(".")
    return records.format(d=domain, t=targets[0], t2=targets[-1], label=label, zone=zone) + "\n"


_RIGHT = "_acme-challenge IN CNAME {t}."


def _each(name: str, records: str, expected: str, **more) -> list[SetUp]:
    """The same at every kind of server."""
    return [
        SetUp(name=f"{name}-{server.name}", build=_served(records, (server,)), expected=expected, **more)
        for server in (KNOT, NSD, BIND, POWERDNS)
    ]


def _differing(**by_server: str) -> Build:
    """A domain whose servers show different records."""

    def build(world: World, domain: str, targets: Sequence[str]) -> None:
        kinds = {server.name: server for server in (KNOT, KNOT2, NSD, BIND, POWERDNS)}
        hosts = [f"{name}.hosts.test." for name in by_server]
        for name, records in by_server.items():
            world.zone(domain, _filled(records, domain, targets), at=(kinds[name],), ns=hosts)
        world.delegate(domain, *hosts)

    return build


def _delegated(*hosts: str, records: str = _RIGHT, at: Iterable = (KNOT,)) -> Build:
    """A domain that is delegated to these hosts of ``hosts.test``, and served at some servers."""

    def build(world: World, domain: str, targets: Sequence[str]) -> None:
        full = [f"{host}.hosts.test." for host in hosts]
        if at:
            world.zone(domain, _filled(records, domain, targets), at=at, ns=full)
        world.delegate(domain, *full)

    return build


def _unregistered(world: World, domain: str, targets: Sequence[str]) -> None:
    """Nobody has registered it."""


def _parent_cut(world: World, domain: str, targets: Sequence[str]) -> None:
    """The CNAME stands in the domain's zone, but eu.<domain> is a zone of its own."""
    world.domain(domain, f"_acme-challenge.eu IN CNAME {targets[0]}.\neu IN NS nsd.hosts.test.\n", at=(KNOT,))
    world.zone(f"eu.{domain}", "", at=(NSD,))


def _challenge_delegated(world: World, domain: str, targets: Sequence[str]) -> None:
    world.domain(domain, "_acme-challenge IN NS nsd.hosts.test.\n", at=(KNOT,))
    world.zone(f"_acme-challenge.{domain}", "", at=(NSD,))


def _two_zones_loop(world: World, domain: str, targets: Sequence[str]) -> None:
    world.domain(domain, f"_acme-challenge IN CNAME x.other-{domain}.\n", at=(KNOT,))
    world.domain(f"other-{domain}", f"x IN CNAME _acme-challenge.{domain}.\n", at=(NSD,))


def _bogus(world: World, domain: str, targets: Sequence[str]) -> None:
    """A DS at the parent for whose key the zone has no signatures: it is not signed at all."""
    world.domain(domain, f"_acme-challenge IN CNAME {targets[0]}.\n", at=(KNOT,))
    key = world.keys[domain] = Key(domain)
    world.tld.append(key.ds_record)
    world.anchors.append(key.record)


def _signed(world: World, domain: str, targets: Sequence[str]) -> None:
    """The resolver knows the zone's key."""
    world.domain(domain, f"_acme-challenge IN CNAME {targets[0]}.\n", at=(KNOT,))
    world.signed.append(domain)


def _broken_below(world: World, domain: str, targets: Sequence[str]) -> None:
    """A zone that the resolver has a key of; it holds a DS for a zone below that has other keys, made by BIND."""
    world.domain(domain, f"shop IN NS bind.hosts.test.\nshop IN DS 12345 13 2 {'cd' * 32}\n", at=(KNOT,))
    world.signed.append(domain)
    world.zone(f"shop.{domain}", f"_acme-challenge IN CNAME {targets[0]}.\n", at=(BIND,))
    world.signed_by_bind.append(f"shop.{domain}")


def _expired(world: World, domain: str, targets: Sequence[str]) -> None:
    """A signed zone whose signatures nobody has renewed."""
    world.domain(domain, f"_acme-challenge IN CNAME {targets[0]}.\n", at=(NSD,))
    key = world.keys[domain] = Key(domain)
    world.zones[NSD.name][domain] = signed_long_ago(key, world.zones[NSD.name][domain])
    world.anchors.append(key.record)


def _inner_view(world: World, domain: str, targets: Sequence[str]) -> None:
    """The resolver sees the CNAME in an inner view; the rest of the world does not."""
    world.domain(domain, "", at=(BIND,))
    inner = World()
    inner.zone(domain, f"_acme-challenge IN CNAME {targets[0]}.\n", at=(BIND,))
    world.views.setdefault(INNER_RESOLVER, {}).update(inner.zones["bind"])


def _alias_with_caa(world: World, domain: str, targets: Sequence[str]) -> None:
    world.domain(domain, f"_acme-challenge.www IN CNAME {targets[0]}.\nwww IN CNAME shops.host-{domain}.\n", at=(KNOT,))
    world.domain(f"host-{domain}", 'shops IN A 192.0.2.80\nshops IN CAA 0 issue "other.example"\n', at=(NSD,))


def _odd(records: str, quirk: Quirk, *values: str) -> Build:
    """A domain at the odd server."""

    def build(world: World, domain: str, targets: Sequence[str]) -> None:
        world.odd_domain(domain, _filled(records, domain, targets), quirk, values)

    return build


def _chain(length: int) -> str:
    lines = ["_acme-challenge IN CNAME c0"]
    lines += [f"c{number} IN CNAME c{number + 1}" for number in range(length)]
    return "\n".join([*lines, f"c{length} IN CNAME {{t}}."])


_CAA = _RIGHT + "\n@ IN CAA "

SET_UPS: tuple[SetUp, ...] = (
    # The CNAME.
    *_each("missing", "", "cname_missing"),
    *_each("wrong", "_acme-challenge IN CNAME somewhere.hosts.test.", "cname_wrong_target"),
    SetUp(name="one-of-two", build=_served(_RIGHT), names=("@", "shop"), expected="cname_missing"),
    SetUp(name="long-ttl-missing", build=_served("", minimum=86400), expected="cname_missing"),
    SetUp(
        name="other-label",
        build=_served("_acme-challenge IN CNAME 0123456789abcdef0123456789abcdef.{zone}."),
        expected="cname_other_label",
    ),
    SetUp(name="tech-apex", build=_served("_acme-challenge IN CNAME {zone}."), expected="cname_wrong_target"),
    SetUp(
        name="old-zone", build=_served("_acme-challenge IN CNAME {label}.old.panel.test."), expected="cname_old_target"
    ),
    SetUp(name="typo", build=_served("_acme-challenge IN CNAME {label}x.{zone}."), expected="cname_other_label"),
    *_each("no-dot", "_acme-challenge IN CNAME {t}", "cname_target_not_final"),
    *_each("doubled", "_acme-challenge.{d} IN CNAME {t}.", "cname_doubled_suffix"),
    *_each("no-underscore", "acme-challenge IN CNAME {t}.", "cname_without_underscore"),
    SetUp(name="txt", build=_served('_acme-challenge IN TXT "{t}"'), expected="txt_instead_of_cname"),
    SetUp(
        name="certbot",
        build=_served('_acme-challenge IN TXT "gfj9Xq8Zr0Y3vJ5b1p2k4m6n8o0q2s4u6w8y0A2C4E6"'),
        expected="txt_instead_of_cname",
    ),
    SetUp(name="address", build=_served("_acme-challenge IN A 192.0.2.80"), expected="address_instead_of_cname"),
    SetUp(
        name="six-address", build=_served("_acme-challenge IN AAAA 2001:db8::80"), expected="address_instead_of_cname"
    ),
    SetUp(name="cut", build=_challenge_delegated, expected="ns_instead_of_cname"),
    SetUp(name="wild-host", build=_served("* IN CNAME web.hosts.test."), expected="cname_behind_wildcard"),
    SetUp(
        name="wild-tech",
        build=_served("* IN CNAME 0123456789abcdef0123456789abcdef.{zone}."),
        expected="cname_behind_wildcard",
    ),
    SetUp(name="wild-txt", build=_served('* IN TXT "v=spf1 -all"'), expected="cname_behind_wildcard"),
    SetUp(name="wild-address", build=_served("* IN A 192.0.2.80"), expected="cname_behind_wildcard"),
    SetUp(name="loop", build=_served("_acme-challenge IN CNAME x\nx IN CNAME _acme-challenge"), expected="cname_loop"),
    SetUp(name="loop-two", build=_two_zones_loop, expected="cname_loop"),
    SetUp(name="long-chain", build=_served(_chain(20)), expected="cname_chain_too_long"),
    SetUp(
        name="chain-ends-wrong",
        build=_served("_acme-challenge IN CNAME a\na IN CNAME b\nb IN CNAME web.hosts.test."),
        expected="cname_wrong_target",
    ),
    SetUp(name="parent-cut", build=_parent_cut, names=("eu",), expected="cname_in_parent_zone"),
    SetUp(name="some", build=_differing(knot=_RIGHT, nsd=""), expected="cname_on_some_servers"),
    SetUp(name="some-bind", build=_differing(bind="", pdns=_RIGHT), expected="cname_on_some_servers"),
    SetUp(
        name="disagree",
        build=_differing(knot=_RIGHT, nsd="_acme-challenge IN CNAME old.hosts.test."),
        expected="servers_disagree",
    ),
    # The name servers.
    SetUp(name="unregistered", build=_unregistered, expected="domain_not_registered"),
    SetUp(name="lame", beside=_RESOLVERS, build=_delegated("knot", "nsd", at=()), expected="server_lame"),
    SetUp(name="lame-bind", beside=_RESOLVERS, build=_delegated("bind", at=()), expected="server_lame"),
    SetUp(name="lame-pdns", beside=_RESOLVERS, build=_delegated("pdns", at=()), expected="server_lame"),
    SetUp(name="one-lame", build=_delegated("knot", "nsd"), expected="server_lame"),
    SetUp(name="silent", beside=_RESOLVERS, build=_delegated("silent", at=()), expected="server_silent"),
    SetUp(name="one-silent", build=_delegated("knot", "silent"), expected="server_silent"),
    SetUp(name="closed", beside=_RESOLVERS, build=_delegated("closed", at=()), expected="server_silent"),
    SetUp(name="no-address", beside=_RESOLVERS, build=_delegated("nowhere", at=()), expected="server_without_address"),
    SetUp(name="six", beside=_RESOLVERS, build=_delegated("six"), expected="servers_ipv6_only"),
    SetUp(
        name="dead-six",
        build=_delegated("deadsix", at=()),
        expected="server_silent",
        beside={"servers_ipv6_only", *_RESOLVERS},
    ),
    SetUp(name="bogus", build=_bogus, expected="dnssec_bogus"),
    SetUp(name="ds-of-other-key", build=_broken_below, names=("shop",), expected="dnssec_bogus"),
    SetUp(name="expired", build=_expired, expected="dnssec_bogus"),
    SetUp(name="alias", beside=_RESOLVERS, build=_delegated("alias"), expected="server_without_address"),
    SetUp(name="inner-view", build=_inner_view, profile="inner", expected="split_view"),
    SetUp(
        name="rewritten", build=_served(""), profile="rewriting", expected="cname_missing", beside={"resolver_rewrites"}
    ),
    # PowerDNS's resolver beside Unbound.
    SetUp(name="missing-other", build=_served(""), profile="other", expected="cname_missing"),
    SetUp(
        name="lame-other", beside=_RESOLVERS, build=_delegated("bind", at=()), profile="other", expected="server_lame"
    ),
    SetUp(
        name="loop-other",
        build=_served("_acme-challenge IN CNAME x\nx IN CNAME _acme-challenge"),
        profile="other",
        expected="cname_loop",
    ),
    # CAA.
    *_each("caa-other", _CAA + '0 issue "other.example"', "caa_issue"),
    SetUp(name="caa-none", build=_served(_CAA + '0 issue ";"'), expected="caa_issue"),
    SetUp(
        name="caa-wild",
        build=_served(_CAA + f'0 issue "{ISSUER}"\n@ IN CAA 0 issuewild ";"'),
        names=("@", "*"),
        expected="caa_issuewild",
    ),
    SetUp(
        name="caa-account",
        build=_served(_CAA + f'0 issue "{ISSUER}; accounturi=https://{ISSUER}/acct/1"'),
        expected="caa_account",
    ),
    SetUp(
        name="caa-method",
        build=_served(_CAA + f'0 issue "{ISSUER}; validationmethods=http-01"'),
        expected="caa_method",
    ),
    SetUp(
        name="caa-critical",
        build=_served(_CAA + f'0 issue "{ISSUER}"\n@ IN CAA 128 tbs "unknown"'),
        expected="caa_critical",
    ),
    SetUp(
        name="caa-parent",
        build=_served('_acme-challenge.www IN CNAME {t}.\n@ IN CAA 0 issue "other.example"'),
        names=("www",),
        expected="caa_at_parent",
    ),
    SetUp(name="caa-alias", build=_alias_with_caa, names=("www",), expected="caa_at_alias"),
    SetUp(name="caa-fails", build=_odd(_RIGHT, Quirk.CAA_SERVFAIL), expected="caa_lookup_fails"),
    SetUp(name="caa-silent", build=_odd(_RIGHT, Quirk.CAA_SILENT), expected="caa_lookup_fails"),
    # The tech zone.
    *(
        SetUp(name=f"tech-{name}", build=_served(_RIGHT), profile=name, expected=code)
        for name, code in (
            ("gone", "tech_zone_not_delegated"),
            ("dead", "tech_zone_unreachable"),
            ("homeless", "tech_zone_without_address"),
            ("stale", "tech_zone_old_server"),
        )
    ),
    # DNS hosts with a will of their own.
    SetUp(name="flattened", build=_odd(_RIGHT, Quirk.FLATTENS), expected="cname_flattened"),
    SetUp(name="beside", build=_odd(_RIGHT, Quirk.BESIDE, "mine"), expected="cname_beside_records"),
    SetUp(name="own-txt", build=_odd(_RIGHT, Quirk.OWN_TXT, "ca3-0123456789abcdef"), expected="host_answers_txt"),
    SetUp(
        name="broken-zone",
        beside=_RESOLVERS,
        build=_served("_acme-challenge IN A no-address", (KNOT,)),
        expected="server_fails",
    ),
    # Nothing is wrong.
    SetUp(name="right-no-edns", build=_odd(_RIGHT, Quirk.NO_EDNS), expected=""),
    SetUp(name="right-other", build=_served(_RIGHT), profile="other", expected=""),
    SetUp(name="right-loses", build=_odd(_RIGHT, Quirk.LOSES), expected=""),
    *_each("right", _RIGHT, ""),
    # PowerDNS keeps a TXT record beside the CNAME, and answers with the CNAME alone.
    SetUp(name="right-beside", build=_served(_RIGHT + '\n_acme-challenge IN TXT "mine"', (POWERDNS,)), expected=""),
    SetUp(name="right-both", build=_served(_RIGHT, (KNOT, KNOT2, NSD, BIND, POWERDNS)), expected=""),
    SetUp(name="right-chain", build=_served(_chain(3)), expected=""),
    SetUp(name="right-case", build=_served("_ACME-Challenge IN CNAME {t}."), expected=""),
    SetUp(name="right-wild", build=_served(_RIGHT + '\n* IN A 192.0.2.80\n* IN TXT "v=spf1 -all"'), expected=""),
    SetUp(name="right-caa", build=_served(_CAA + f'0 issue "{ISSUER}"'), expected=""),
    SetUp(name="right-iodef", build=_served(_CAA + '0 iodef "mailto:security@example.org"'), expected=""),
    SetUp(
        name="right-caa-pin",
        build=_served(_CAA + f'0 issue "{ISSUER}; validationmethods=dns-01"'),
        expected="",
    ),
    SetUp(
        name="right-two",
        build=_served(_RIGHT + "\n_acme-challenge.shop IN CNAME {t2}."),
        names=("@", "shop"),
        expected="",
    ),
    SetUp(name="right-signed", build=_signed, expected=""),
)
