"""The whole way as on the Internet: the customer's zone at BIND, resolvers in between, the tech zone at certcore."""

import socket
import time

import pytest

from certcore import Status
from certcore.model.hints import RecordState

pytestmark = [pytest.mark.pebble, pytest.mark.integration]


def test_issuance_through_foreign_name_servers(panel, start_pebble, start_named, start_unbound):
    """BIND serves the customer, Unbound resolves for the CA and for our checks, and certcore serves the tech zone."""
    profile = panel.profile("https://127.0.0.1:9/dir")
    draft = panel.core.certificates.create("shop.test", aliases=["www.shop.test"], wildcard=True, authority=profile.id)
    records = "".join(f"{row.name}. IN CNAME {row.value}.\n" for row in panel.records(draft.id))
    customer = start_named("shop.test", records)
    resolver = start_unbound({"shop.test": customer, panel.tech_zone: panel.dns.address[1]})
    pebble = start_pebble(dns_server=f"127.0.0.1:{resolver}")
    panel.move(profile, pebble, dns_servers=[f"127.0.0.1:{resolver}"])
    for _ in range(2):  # what the resolver keeps of one test does not make the next one fail
        report = panel.core.authorities.check(profile.id)
        assert report.ok, report
    panel.core.certificates.generate_csr(draft.id)
    panel.until_active(draft.id)
    assert panel.txt_values() == []


def test_all_resolvers_have_to_agree(panel, start_pebble, start_named, start_unbound):
    """While one of two resolvers does not see the CNAME, no order is placed; the right column says which one."""
    profile = panel.profile("https://127.0.0.1:9/dir")
    draft = panel.core.certificates.create("shop.test", authority=profile.id)
    (row,) = panel.records(draft.id)
    behind = start_unbound({"shop.test": start_named("shop.test", ""), panel.tech_zone: panel.dns.address[1]})
    panel.zone.set(row.name, row.type, row.value)
    pebble = start_pebble()
    both = [panel.dns_address, f"127.0.0.1:{behind}"]
    panel.move(profile, pebble, dns_servers=both)
    panel.core.certificates.generate_csr(draft.id)
    panel.core.reconcile(draft.id)
    assert panel.core.certificates.get(draft.id).status is Status.PENDING
    assert [record.state for record in panel.records(draft.id)] == [RecordState.MISSING]
    caught_up = start_named("shop.test", f"{row.name}. IN CNAME {row.value}.\n")
    ahead = start_unbound({"shop.test": caught_up, panel.tech_zone: panel.dns.address[1]})
    panel.core.authorities.edit(profile.id, settings={"dns_servers": [panel.dns_address, f"127.0.0.1:{ahead}"]})
    panel.core.certificates.check_now(draft.id)
    panel.until_active(draft.id)


def test_a_silent_dns_server_does_not_hold_the_worker_up(panel):
    """With a hundred names and a DNS server that never answers, a look takes one timeout, and every row says why."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        profile = panel.profile("https://127.0.0.1:9/dir", dns_servers=[address], api_timeout=1)
        names = [f"d{number}.shop.test" for number in range(99)]
        certificate_id = panel.request(profile, "shop.test", aliases=names)
        begun = time.monotonic()
        panel.core.reconcile(certificate_id)
        assert time.monotonic() - begun < 50  # and not a hundred
    rows = panel.records(certificate_id)
    assert len(rows) == 100
    assert {row.state for row in rows} == {RecordState.UNREACHABLE}
    assert all("no answer in time" in str(row.seen) for row in rows)
