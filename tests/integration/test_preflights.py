"""A certificate of a real ACME server, checked with a real DNS server as if it were renewed."""

import pytest

from certcore import hookimpl
from certcore.model.events import EventKind
from certcore.model.hints import DnsRecords
from certcore.model.readiness import WhoseTurn

pytestmark = pytest.mark.pebble
KINDS = (EventKind.RENEWAL_NOT_READY, EventKind.RENEWAL_READY)


class Witness:
    """An observer that writes down what is told of preflights."""

    name = "witness"

    def __init__(self):
        self.told = []

    @hookimpl
    def certcore_on_event(self, event):
        if event.kind in KINDS:
            self.told.append(event.kind)


def test_a_broken_cname_is_told_before_the_renewal_and_is_gone_after_the_repair(panel, start_pebble):
    """Page, record and observer learn of it within the check; nothing is ordered, and the repair ends it."""
    witness = Witness()
    panel.core.close()
    panel.options["plugins"] = [witness]
    panel.open()
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    certificate_id = panel.issued(profile, "shop.test")
    core = panel.core
    name = "_acme-challenge.shop.test"
    target = panel.zone.records(panel.zone.zones()[0], name)["CNAME"][0]
    assert core.certificates.preflight(certificate_id).readiness.is_ready
    panel.zone.set(name, "CNAME", "gone.elsewhere.test")
    panel.environment.skip(core.certificates.view(certificate_id).preflight.due_at - panel.environment.now())
    assert core.run_preflights() == 1
    core.deliver_events()
    view = core.certificates.view(certificate_id)
    readiness = view.preflight.readiness
    assert (readiness.is_ready, readiness.whose_turn) == (False, WhoseTurn.OWNER)
    assert "cname_wrong_target" in [obstacle.finding.code for obstacle in readiness.obstacles]
    rows = [
        row for hint in core.certificates.hints(certificate_id) if isinstance(hint, DnsRecords) for row in hint.rows
    ]
    assert (name, f"{target.removesuffix('.')}.") in [(row.name, row.value) for row in rows]
    assert len(core.certificates.issuances(certificate_id)) == 1
    panel.zone.set(name, "CNAME", target)
    assert core.certificates.preflight(certificate_id).readiness.is_ready
    core.deliver_events()
    assert witness.told == [*KINDS]
    assert not [hint for hint in core.certificates.hints(certificate_id) if isinstance(hint, DnsRecords)]
