"""The other CA when one keeps failing."""

import contextlib

import pytest

from certcore.model.events import EventKind
from certcore.model.issuance import TOO_MUCH
from support.hint_texts import notices_and_facts


@pytest.mark.pebble
def test_when_the_first_ca_is_down_the_next_issues_through_the_same_cname(panel, start_pebble):
    """The owner has nothing to do, the timeline says so, and the next renewal begins at the first CA."""
    pebble = start_pebble()
    down = panel.profile("https://127.0.0.1:9/dir", name="down")
    good = panel.profile(pebble.directory_url, pebble.roots_pem, name="good")
    certificate_id = panel.request(down, "a.shop.test", fallbacks=[good.id])
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    (told,) = (event for event in panel.core.certificates.timeline(certificate_id) if event.kind is EventKind.FELL_BACK)
    assert (told.data["from"], told.data["to"]) == ("down", "good")
    assert "refused the connection" in str(told.problem)
    assert panel.records(certificate_id) == []
    first = panel.core.certificates.view(certificate_id).leaf
    panel.core.certificates.renew(certificate_id)
    panel.core.reconcile(certificate_id)
    assert panel.issuance(certificate_id).authority_id == down.id
    panel.drive(
        certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != first.serial_hex
    )
    assert panel.core.certificates.view(certificate_id).active.authority_id == good.id


@pytest.mark.pebble
def test_a_refusal_of_the_names_validation_does_not_lead_to_another_ca(panel, start_pebble):
    """What the owner has to repair stays at the first CA: the other one is not asked."""
    with _elsewhere() as address:
        blind = start_pebble(dns_server=address)
        pebble = start_pebble()
        first = panel.profile(blind.directory_url, blind.roots_pem, name="blind")
        good = panel.profile(pebble.directory_url, pebble.roots_pem, name="good")
        certificate_id = panel.request(first, "a.shop.test", fallbacks=[good.id])
        panel.set_cnames(certificate_id)
        failures = []
        panel.drive(
            certificate_id,
            lambda found: failures.append(found.problem) or sum(map(bool, failures)) > 2 * TOO_MUCH,
        )
    kinds = {event.kind for event in panel.core.certificates.timeline(certificate_id)}
    assert EventKind.FELL_BACK not in kinds
    assert "a.shop.test" in notices_and_facts(panel, certificate_id)


@contextlib.contextmanager
def _elsewhere():
    """A DNS server that knows nothing of the tech zone."""
    from certcore.adapters.environment import SystemEnvironment
    from certcore.testing.dns_zone import MemoryZone
    from certcore_puq_acme.techzone.server import ZoneServer

    with ZoneServer(("127.0.0.1", 0), [MemoryZone("shop.test")], SystemEnvironment()) as server:
        yield f"127.0.0.1:{server.address[1]}"
