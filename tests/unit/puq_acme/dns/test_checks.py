"""Checks at authoritative servers: broken set-ups with the code that a person should read first, and healthy ones."""

from datetime import UTC, datetime

import pytest

from certcore.model.hints import RecordState
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.delegation import Delegation
from certcore_puq_acme.dns.port import Answer, Record
from certcore_puq_acme.profile.settings import ServersAsked
from support.internet import RESOLVER, ROOT, customer

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NAME = "_acme-challenge.shop.test"
TARGET = "k3vq.acme.panel.test"
WANTED = Delegation(base="shop.test", name=NAME, target=TARGET)
NS1, NS2, TECH = "8.0.1.1", "8.0.1.2", "8.0.2.2"


def looked(net, wanted=WANTED, **how):
    return net.checks().cnames([wanted], NOW, **how)[0]


def codes(record):
    return [finding.code for finding in record.findings]


def test_a_healthy_name_has_no_finding():
    """Both servers show the CNAME: correct, and nothing is said."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)
    record = looked(net)
    assert (record.state, record.seen, record.findings) == (RecordState.CORRECT, TARGET, ())


@pytest.mark.parametrize(
    "how",
    ["chain", "wildcard into the tech zone", "a zone of its own", "servers elsewhere", "one address for all zones"],
)
def test_other_healthy_set_ups(how):
    """A chain through a third zone, a wildcard, a child zone, foreign server names: nothing is reported."""
    net = customer()
    wanted = WANTED
    match how:
        case "chain":
            net.add_zone("other.test", {"ns.other.test": "8.0.3.1"})
            net.set(NAME, "CNAME", "hop.other.test")
            net.set("hop.other.test", "CNAME", TARGET)
        case "wildcard into the tech zone":
            net.set("*.shop.test", "CNAME", TARGET)
        case "a zone of its own":
            net.add_zone("eu.shop.test", {"ns.eu.shop.test": "8.0.3.1"})
            wanted = Delegation(base="eu.shop.test", name="_acme-challenge.eu.shop.test", target=TARGET)
            net.set(wanted.name, "CNAME", TARGET)
        case "servers elsewhere":
            net.add_zone("hoster.test", {"a.dns.hoster.test": "8.0.3.1", "b.dns.hoster.test": "8.0.3.2"})
            net.add_zone("shop2.test", {"a.dns.hoster.test": "8.0.3.1", "b.dns.hoster.test": "8.0.3.2"})
            for server in net.servers.values():  # no glue in the registry's zone
                for host in ("a.dns.hoster.test", "b.dns.hoster.test"):
                    server.zones.get("test", {}).pop((host, "A"), None)
            wanted = Delegation(base="shop2.test", name="_acme-challenge.shop2.test", target=TARGET)
            net.set(wanted.name, "CNAME", TARGET)
            net.add_zone("hoster.test", {"ns.nic.test": "8.0.0.2"}, {("a.dns.hoster.test", "A"): ["8.0.3.1"]})
            net.set("b.dns.hoster.test", "A", "8.0.3.2")
        case "one address for all zones":
            net.add_zone("solo.test", {"ns.nic.test": "8.0.0.2"})
            wanted = Delegation(base="solo.test", name="_acme-challenge.solo.test", target=TARGET)
            net.set(wanted.name, "CNAME", TARGET)
    record = looked(net, wanted)
    assert (record.state, codes(record)) == (RecordState.CORRECT, [])


@pytest.mark.parametrize(
    ("code", "state", "records"),
    [
        ("cname_missing", "missing", []),
        ("cname_wrong_target", "wrong", [(NAME, "CNAME", "somewhere.else.test")]),
        ("cname_wrong_target", "wrong", [(NAME, "CNAME", "acme.panel.test")]),
        ("cname_old_target", "wrong", [(NAME, "CNAME", "k3vq.old.panel.test")]),
        ("cname_other_label", "wrong", [(NAME, "CNAME", "zzzz.acme.panel.test")]),
        ("cname_doubled_suffix", "missing", [(f"{NAME}.shop.test", "CNAME", TARGET)]),
        ("cname_target_not_final", "wrong", [(NAME, "CNAME", f"{TARGET}.shop.test")]),
        ("cname_without_underscore", "missing", [("acme-challenge.shop.test", "CNAME", TARGET)]),
        ("txt_instead_of_cname", "missing", [(NAME, "TXT", TARGET)]),
        ("address_instead_of_cname", "missing", [(NAME, "A", "8.8.8.8")]),
        ("cname_behind_wildcard", "missing", [("*.shop.test", "A", "8.8.8.8")]),
        ("cname_behind_wildcard", "wrong", [("*.shop.test", "CNAME", "web.else.test")]),
        ("cname_loop", "wrong", [(NAME, "CNAME", "a.shop.test"), ("a.shop.test", "CNAME", NAME)]),
        ("cname_loop", "wrong", [(NAME, "CNAME", NAME)]),
        ("cname_flattened", "missing", [(NAME, "MX", "10 mail.shop.test")]),
        (
            "cname_chain_too_long",
            "wrong",
            [(NAME, "CNAME", "h0.shop.test"), *((f"h{n}.shop.test", "CNAME", f"h{n + 1}.shop.test") for n in range(9))],
        ),
    ],
)
def test_records_that_are_wrong(code, state, records):
    """Each has its code, an exact record to set, and the state that the page shows."""
    net = customer()
    for name, kind, value in records:
        net.set(name, kind, value)
    record = looked(net)
    assert codes(record)[0] == code
    assert record.state == state
    remedy = [one for one in record.findings[0].remedy if one.change == "set"]
    assert [(one.name, one.type, one.value) for one in remedy] == [(NAME, "CNAME", f"{TARGET}.")]


def test_delegation_instead_of_a_cname():
    """NS records at the name itself."""
    net = customer()
    net.add_zone(NAME, {"ns1.acme.panel.test": TECH})
    assert codes(looked(net)) == ["ns_instead_of_cname"]


def test_a_record_hidden_by_a_zone_cut():
    """The name lies in a child zone: a record in its parent zone does not count."""
    net = customer()
    net.add_zone("eu.shop.test", {"ns.eu.shop.test": "8.0.3.1"})
    wanted = Delegation(base="eu.shop.test", name="_acme-challenge.eu.shop.test", target=TARGET)
    for address in (NS1, NS2):
        net.servers[address].zones["shop.test"][wanted.name, "CNAME"] = [TARGET]
    record = looked(net, wanted)
    assert codes(record)[0] == "cname_in_parent_zone"
    assert "ns.eu.shop.test" in str(record.findings[0])


def test_domains_that_are_not_there():
    """Not registered, and registered without name servers, are told apart."""
    net = customer()
    gone = Delegation(base="shpo.test", name="_acme-challenge.shpo.test", target=TARGET)
    assert codes(looked(net, gone)) == ["domain_not_registered"]
    net.set("held.test", "TXT", "on hold")
    held = Delegation(base="held.test", name="_acme-challenge.held.test", target=TARGET)
    assert codes(looked(net, held)) == ["domain_not_delegated"]
    suffix = Delegation(base="co.uk", name="_acme-challenge.co.uk", target=TARGET)
    assert codes(looked(net, suffix)) == ["public_suffix"]


@pytest.mark.parametrize(
    ("behaviour", "code"), [("silent", "server_silent"), ("REFUSED", "server_lame"), ("SERVFAIL", "server_fails")]
)
def test_one_bad_server_of_two_condemns_nothing(behaviour, code):
    """The record counts as correct; a warning names the server. With both bad, it is an error."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)
    net.servers[NS2].behaviour = behaviour
    record = looked(net)
    assert record.state is RecordState.CORRECT
    assert [(finding.code, finding.severity, finding.server) for finding in record.findings] == [
        (code, "warning", f"ns2.shop.test ({NS2})")
    ]
    net.servers[NS1].behaviour = behaviour
    record = looked(net)
    assert record.state is RecordState.UNREACHABLE
    assert codes(record)[:2] == [code, code]


def test_name_servers_without_address_and_with_a_private_one():
    """A host name that does not resolve, and 10.0.0.1, which is never asked."""
    net = customer(**{"ns1.shop.test": NS1, "ns2.shop.test": "10.0.0.1", "ns.gone.test": "8.0.9.9"})
    for server in net.servers.values():
        server.zones.get("test", {}).pop(("ns.gone.test", "A"), None)
    net.set(NAME, "CNAME", TARGET)
    record = looked(net)
    assert record.state is RecordState.CORRECT
    assert sorted(codes(record)) == ["server_address_not_public", "server_without_address"]
    assert "10.0.0.1" not in {address for address, *_ in net.asked}
    permitted = net.checks(policy=ServersAsked.ALL).cnames([WANTED], NOW)[0]
    assert codes(permitted) == ["server_without_address"]
    assert "10.0.0.1" in {address for address, *_ in net.asked}


def test_servers_that_disagree():
    """Missing on one of two, and another target on one of two: never correct, and each server is named."""
    net = customer()
    net.set(NAME, "CNAME", TARGET, at=NS1)
    record = looked(net)
    assert codes(record) == ["cname_on_some_servers"]
    assert record.findings[0].server == f"ns2.shop.test ({NS2})"
    net.set(NAME, "CNAME", "old.example", at=NS2)
    record = looked(net)
    assert (record.state, codes(record)) == (RecordState.WRONG, ["servers_disagree"])
    assert "old.example" in str(record.seen)


def test_ipv6_only():
    """A warning: some CAs cannot reach it."""
    net = customer(**{"ns1.shop.test": "2a01::1"})
    net.set(NAME, "CNAME", TARGET)
    record = looked(net)
    assert (record.state, codes(record)) == (RecordState.CORRECT, ["servers_ipv6_only"])


def test_the_first_look_asks_no_resolver_for_the_name():
    """A resolver that is asked for a missing record keeps "no" for hours: it is asked for the root's servers alone."""
    net = customer()
    looked(net)
    assert {name for address, name, *_ in net.asked if address == RESOLVER} == {"", "a.root"}
    assert not any(recursive for address, _, _, recursive in net.asked if address != RESOLVER)


def test_a_negative_answer_in_a_cache_does_not_hide_a_repair():
    """The zone's servers decide at once; the resolver's old answer is told, with its end."""
    net = customer()
    net.checks(policy=ServersAsked.NONE).cnames([WANTED], NOW)  # a resolver keeps "no"
    net.set(NAME, "CNAME", TARGET)
    record = looked(net)
    assert record.state is RecordState.CORRECT
    assert codes(record) == ["still_cached"]
    assert "2026-11-29 13:00 UTC" in str(record.findings[0])


def test_a_view_of_its_own():
    """The resolver shows the record, the world does not: that is no success."""
    net = customer()
    found = Answer(rcode="NOERROR", answer=(Record(name=NAME, kind="CNAME", value=TARGET, ttl=300),))
    net.servers[RESOLVER].special[NAME, "CNAME"] = found
    record = looked(net, with_resolvers=True)
    assert record.state is RecordState.MISSING
    assert "split_view" in codes(record)


def test_a_resolver_that_rewrites():
    """It makes up an address for a name that does not exist."""
    net = customer()
    made_up = Answer(rcode="NOERROR", answer=(Record(name=NAME, kind="A", value="8.8.4.4", ttl=300),))
    net.servers[RESOLVER].special[NAME, "CNAME"] = made_up
    assert "resolver_rewrites" in codes(looked(net, with_resolvers=True))


def test_broken_dnssec_comes_first():
    """The servers show the record, a validating resolver refuses it, and with CD it does not."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)

    class Validating(type(net)):
        def query(self, server, question, waits):
            if server.address == RESOLVER and question.name and not question.checking_disabled:
                return Answer(rcode="SERVFAIL", extended_error="Dnssec bogus")
            return super().query(server, question, waits)

    bogus = Validating(servers=net.servers)
    record = looked(bogus)
    assert (record.state, codes(record)[0]) == (RecordState.UNREACHABLE, "dnssec_bogus")


@pytest.mark.parametrize("how", ["root is silent", "root is intercepted", "resolver does not tell the root", "policy"])
def test_resolvers_have_to_do_where_port_53_is_closed(how):
    """It is noticed, not configured: the resolvers' answers then count as before; and it is remembered for a while."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)
    checks = net.checks(policy=ServersAsked.NONE if how == "policy" else ServersAsked.PUBLIC)
    match how:
        case "root is silent":
            net.servers[ROOT].behaviour = "silent"
        case "root is intercepted":
            net.servers[ROOT].behaviour = "NOERROR"
        case "resolver does not tell the root":
            net.servers[RESOLVER].special["", "NS"] = Answer(rcode="REFUSED")
    assert checks.cname(WANTED, NOW).state is RecordState.CORRECT
    at_root = [one for one in net.asked if one[0] == ROOT]
    net.set(NAME, "CNAME")
    missing = checks.cname(WANTED, NOW)
    assert (missing.state, codes(missing)) == (RecordState.MISSING, ["cname_missing"])
    assert f"the resolver {RESOLVER}" in str(missing.findings[0])
    assert [one for one in net.asked if one[0] == ROOT] == at_root


def test_a_zone_that_cannot_be_reached_from_here_is_left_to_the_resolvers():
    """All servers are silent from this machine, but the resolvers see the record: a firewall, and no reason to wait."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)
    seen = Answer(rcode="NOERROR", answer=(Record(name=NAME, kind="CNAME", value=TARGET, ttl=300),))
    net.servers[RESOLVER].special[NAME, "CNAME"] = seen
    for address in (NS1, NS2):
        net.servers[address].behaviour = "silent"
    record = looked(net)
    assert record.state is RecordState.CORRECT
    assert {finding.severity for finding in record.findings} == {"warning"}


def test_a_hundred_names_share_the_questions_on_the_way():
    """One of them is broken in a zone of its own; the others are correct, and the registry is asked once."""
    net = customer()
    net.add_zone("dead.test", {"ns.dead.test": "8.0.7.7"})
    net.servers["8.0.7.7"].behaviour = "silent"
    wanted = [
        Delegation(base=f"d{n}.shop.test", name=f"_acme-challenge.d{n}.shop.test", target=TARGET) for n in range(99)
    ]
    for one in wanted:
        net.set(one.name, "CNAME", TARGET)
    wanted.insert(50, Delegation(base="dead.test", name="_acme-challenge.dead.test", target=TARGET))
    records = net.checks().cnames(wanted, NOW)
    assert [record.state for record in records].count(RecordState.CORRECT) == 99
    assert records[50].state is RecordState.UNREACHABLE
    assert [one[1:3] for one in net.asked if one[0] == "8.0.0.2"].count(("shop.test", "NS")) == 1


def test_a_name_costs_a_bounded_number_of_questions():
    """Sixty, however its servers answer: here every server is the child of another zone's servers."""
    net = customer()
    hosts = {f"ns{n}.trap{n}.test": f"8.1.0.{n}" for n in range(30)}
    for n in range(30):
        inner = {f"x{m}.trap{(n * 7 + m) % 30}.test": f"8.2.{n}.{m}" for m in range(30)}
        net.add_zone(f"trap{n}.test", inner)
    net.add_zone("shop3.test", hosts)
    for server in net.servers.values():
        zone = server.zones.get("test", {})
        for key in [key for key in zone if key[1] == "A" and "trap" in key[0]]:
            del zone[key]
    net.asked.clear()
    looked(net, Delegation(base="shop3.test", name="_acme-challenge.shop3.test", target=TARGET))
    assert len(net.asked) <= 61


def test_values_are_looked_for_at_every_server_of_the_tech_zone():
    """An old server beside the right one is named; the resolvers are not asked."""
    net = customer()
    net.add_zone("acme.panel.test", {"ns1.acme.panel.test": TECH, "ns2.acme.panel.test": "8.0.2.3"})
    net.set(TARGET, "TXT", "one", "two")
    assert net.checks().unseen_values({WANTED: ["one", "two"]}) == ()
    net.set(TARGET, "TXT", "old", at="8.0.2.3")
    (missing,) = net.checks().unseen_values({WANTED: ["one", "two"]})
    assert (missing.code, missing.server, str(missing.seen)) == (
        DnsCode.TXT_MISSING,
        "ns2.acme.panel.test (8.0.2.3)",
        "0 of 2 values",
    )
    assert {name for address, name, *_ in net.asked if address == RESOLVER} == {"", "a.root"}


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("healthy", ""),
        ("not delegated", "tech_zone_not_delegated"),
        ("unreachable", "tech_zone_unreachable"),
        ("old server", "tech_zone_old_server"),
        ("no address", "tech_zone_without_address"),
    ],
)
def test_the_tech_zone(how, code):
    """What the operator has to repair, before any order is placed."""
    net = customer()
    net.set("_certcore-check.acme.panel.test", "TXT", "canary")
    match how:
        case "not delegated":
            for server in net.servers.values():
                server.zones.get("panel.test", {}).pop(("acme.panel.test", "NS"), None)
        case "unreachable":
            net.servers[TECH].behaviour = "silent"
        case "old server":
            net.set("_certcore-check.acme.panel.test", "TXT", "old")
        case "no address":
            for server in net.servers.values():
                server.zones.get("panel.test", {}).pop(("ns1.acme.panel.test", "A"), None)
    found = net.checks().tech_zone("acme.panel.test", "canary", "_certcore-check.acme.panel.test")
    assert [one.code for one in found] == ([code] if code else [])


def test_caa_is_asked_of_the_authoritative_servers():
    """At the name, at its parent, at the end of a CNAME; a server that fails for CAA alone counts as a refusal."""
    net = customer()
    net.set("shop.test", "CAA", '0 issue "other.test"')
    net.set("www.shop.test", "CNAME", "shops.panel.test")
    net.set("shops.panel.test", "CAA", '0 issue ";"')
    answers = net.checks().caa_records(["shop.test", "eu.shop.test", "www.shop.test", "panel.test"])
    assert {name: (one.name, one.records) for name, one in answers.items()} == {
        "shop.test": ("shop.test", ('0 issue "other.test"',)),
        "eu.shop.test": ("shop.test", ('0 issue "other.test"',)),
        "www.shop.test": ("shops.panel.test", ('0 issue ";"',)),
        "panel.test": ("", ()),
    }
    for address in (NS1, NS2):
        net.servers[address].special["shop.test", "CAA"] = Answer(rcode="SERVFAIL")
    failed = net.checks().caa_records(["shop.test"])["shop.test"]
    assert failed.is_refusal
    assert "ns1.shop.test" in str(failed.failure)


def test_txt_records_of_the_owner_are_read_at_each_server():
    """Each server's values by itself; through a CNAME, too."""
    net = customer()
    net.set("_validation-persist.shop.test", "TXT", "a", at=NS1)
    shown = net.checks().txt_values(["_validation-persist.shop.test"])["_validation-persist.shop.test"]
    assert sorted(values for _, values in shown.servers) == [(), ("a",)]
    assert not shown.failure


def test_a_dns_host_that_answers_txt_of_its_own():
    """It shows the CNAME, but its own TXT values hide those of the tech zone."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)
    own = Answer(rcode="NOERROR", authoritative=True, answer=(Record(name=NAME, kind="TXT", value="ca3", ttl=60),))
    for address in (NS1, NS2):
        net.servers[address].special[NAME, "TXT"] = own
    record = looked(net)
    assert (record.state, codes(record)) == (RecordState.WRONG, ["host_answers_txt"])


def test_a_port_that_raises_is_no_end():
    """A network of a stranger that raises counts as a server without a usable answer."""
    net = customer()
    net.set(NAME, "CNAME", TARGET)

    class Raising(type(net)):
        def query(self, server, question, waits):
            if server.address == NS2:
                raise RuntimeError("no network")
            return super().query(server, question, waits)

    record = looked(Raising(servers=net.servers))
    assert record.state is RecordState.CORRECT
    assert codes(record) == ["server_fails"]
