"""From a draft to an active certificate, at a real ACME server, through a CNAME into the tech zone."""

import json
import time
from datetime import timedelta

import pytest
from cryptography import x509

from certcore import Status
from certcore.errors import InvalidInputError
from certcore.model.events import EventKind
from certcore.model.hints import DnsRecords, Link, RecordState, Steps, hint_to_json
from certcore.x509.chain import parse_chain, verify_chain
from certcore.x509.keys import load_private_key, public_key_pem
from support.acme_accounts import texts_of
from support.inside import inside

pytestmark = pytest.mark.pebble


def _in_service(panel, certificate_id):
    """The certificate with a working leaf: its names, its chain and its private key fit together."""
    view = panel.core.certificates.view(certificate_id)
    exported = panel.core.certificates.export(certificate_id, reason="test")
    leaf = x509.load_pem_x509_certificate(exported.leaf_pem.encode())
    key = load_private_key(exported.private_key.reveal())
    assert public_key_pem(key.public_key()) == public_key_pem(leaf.public_key())
    assert set(view.leaf.names) == {name.ascii for name in view.certificate.names}
    return view, exported


def test_apex_wildcard_and_alias_in_one_order(panel, start_pebble):
    """One order covers apex, wildcard and alias; its chain verifies against the CA's root; no TXT value is left."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    certificate_id = panel.request(profile, "shop.test", aliases=["www.shop.test"], wildcard=True)
    panel.set_cnames(certificate_id)
    assert [row.name for row in panel.records(certificate_id)] == [
        "_acme-challenge.shop.test",
        "_acme-challenge.www.shop.test",
    ]
    published = 0
    seen = []

    def active(certificate):
        nonlocal published
        published = max(published, len(panel.txt_values()))
        if not seen or seen[-1] != certificate.status:
            seen.append(certificate.status)
        return certificate.status is Status.ACTIVE

    panel.drive(certificate_id, active)
    assert seen == [Status.PENDING, Status.PROCESSING, Status.ACTIVE]
    assert published == 3  # two values at one name, for apex and wildcard, and one for the alias
    assert panel.txt_values() == []
    view, exported = _in_service(panel, certificate_id)
    chain = parse_chain(exported.fullchain_pem)
    verify_chain(chain, pebble.issuer_root_pem(), panel.environment.now())
    kinds = [event.kind for event in view.events]
    expected = [EventKind.CREATED, EventKind.CSR_GENERATED, EventKind.PROCESSING, EventKind.INSTALLED]
    assert [kind for kind in kinds if kind in expected] == expected
    assert view.renews_at < view.certificate.not_after


def test_a_restart_between_any_two_steps_loses_nothing(panel, start_pebble):
    """With a new process for every single step there is one account, one order, and an active certificate."""
    pebble = start_pebble()
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test", wildcard=True)
    panel.set_cnames(certificate_id)
    orders = set()

    def active(certificate):
        state = panel.issuance(certificate_id).module_state or {}
        orders.add(state.get("order"))
        return certificate.status is Status.ACTIVE

    panel.drive(certificate_id, active, restart=True)
    assert len(orders - {None}) == 1
    accounts = [document for document in panel.documents("account/") if "url" in document.value]
    assert len(accounts) == 1
    assert len(panel.core.certificates.issuances(certificate_id)) == 1
    assert panel.txt_values() == []
    again = panel.request(panel.core.authorities.get("ca"), "other.shop.test")
    panel.set_cnames(again)
    panel.until_active(again, restart=True)
    assert [document for document in panel.documents("account/") if "url" in document.value] == accounts


def test_a_step_that_is_done_twice_does_no_harm(panel, start_pebble):
    """A crash after a step's work and before its result is stored repeats the step; the certificate gets there."""
    pebble = start_pebble()
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test", wildcard=True)
    panel.set_cnames(certificate_id)
    core = panel.core
    deadline = time.monotonic() + 120
    while core.certificates.get(certificate_id).status is not Status.ACTIVE:
        assert time.monotonic() < deadline
        view = core.certificates.view(certificate_id)
        if view.issuance is not None:
            module, work = inside(core).contexts.work(view.authority, view.certificate, view.issuance)
            module.advance(work)  # its result is lost
        done = core.reconcile(certificate_id)
        ahead = done.look_again - panel.environment.now()
        if ahead > timedelta(seconds=0.5):
            panel.environment.skip(ahead)
    assert panel.txt_values() == []
    _in_service(panel, certificate_id)


def test_fifty_of_fifty_while_half_of_all_nonces_are_refused(panel, start_pebble):
    """With every second nonce refused, fifty certificates out of fifty become active."""
    pebble = start_pebble(nonce_reject=50)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    ids = [panel.request(profile, f"d{number}.shop.test") for number in range(50)]
    for one in ids:
        panel.set_cnames(one)
    _work(panel, in_flight=4)
    assert [panel.core.certificates.get(certificate_id).status for certificate_id in ids] == [Status.ACTIVE] * 50
    assert panel.txt_values() == []


@pytest.mark.slow(reason="waits for Pebble, which sleeps up to fifteen seconds")
def test_a_ca_that_takes_its_time(panel, start_pebble):
    """With Pebble's own random delays of up to fifteen seconds before validations, certificates become active."""
    pebble = start_pebble(sleep=True)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    ids = [panel.request(profile, f"d{number}.shop.test") for number in range(4)]
    for one in ids:
        panel.set_cnames(one)
    _work(panel, in_flight=4)
    assert [panel.core.certificates.get(certificate_id).status for certificate_id in ids] == [Status.ACTIVE] * 4


def _work(panel, *, in_flight):
    worker = panel.core.worker(threads=4, in_flight=in_flight, poll_interval=0.05)
    worker.start()
    try:
        assert worker.wait_until_idle(timeout=360)
    finally:
        assert worker.stop(timeout=120)


def test_no_order_without_the_cname(panel, start_pebble):
    """Until the owner's CNAME is there, the CA hears nothing; the right column says what is missing or wrong."""
    pebble = start_pebble()
    certificate_id = panel.request(
        panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test", aliases=["www.shop.test"]
    )
    panel.core.reconcile(certificate_id)
    assert panel.core.certificates.get(certificate_id).status is Status.PENDING
    assert [row.state for row in panel.records(certificate_id)] == [RecordState.MISSING] * 2
    assert not [document for document in panel.documents("account/") if "url" in document.value]
    assert "order" not in panel.issuance(certificate_id).module_state
    rows = panel.records(certificate_id)
    panel.zone.set(rows[0].name, "CNAME", rows[0].value)
    panel.zone.set(rows[1].name, "CNAME", "somewhere.else.test")
    panel.core.certificates.check_now(certificate_id)
    panel.core.reconcile(certificate_id)
    first, second = panel.records(certificate_id)
    assert first.state is RecordState.CORRECT
    assert (second.state, second.seen) == (RecordState.WRONG, "somewhere.else.test")
    panel.set_cnames(certificate_id)
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)


def test_waiting_for_the_owner_gets_gentler_and_never_ends(panel, start_pebble):
    """Days without a CNAME cost few looks, and the certificate is issued when it is there at last."""
    pebble = start_pebble()
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test")
    begun = panel.environment.now()
    looks = later = 0
    while panel.environment.now() - begun < timedelta(days=2):
        done = panel.core.reconcile(certificate_id)
        # While the owner is at work, a repair is to be seen within 20 seconds; later, few looks are enough.
        later += panel.environment.now() - begun > timedelta(hours=1)
        panel.environment.skip(max(done.look_again - panel.environment.now(), timedelta(0)))
        looks += 1
    assert looks - later <= 310
    assert later < 400
    assert panel.core.certificates.get(certificate_id).status is Status.PENDING
    assert len(panel.core.certificates.timeline(certificate_id)) < 6
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)


def test_values_are_taken_back_after_a_failure(panel, start_pebble):
    """When the CA cannot see the values, the certificate says so, stays retryable, and no TXT value is left."""
    with _other_dns() as elsewhere:
        pebble = start_pebble(dns_server=elsewhere)
        certificate_id = panel.request(
            panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test", wildcard=True
        )
        panel.set_cnames(certificate_id)
        failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.PENDING
    assert "shop.test" in str(failed.problem)
    assert failed.problem.advice
    assert panel.txt_values() == []
    assert panel.core.certificates.view(certificate_id).schedule.due_at is not None
    healthy = start_pebble()
    panel.move(panel.core.authorities.get("ca"), healthy)
    assert panel.until_active(certificate_id).problem is None
    assert panel.txt_values() == []


def test_a_value_that_is_not_visible_is_told_of_while_it_is_waited_for(panel, start_pebble):
    """The page says at once which value is missing where, with the advice that the failure has ten minutes later."""
    pebble = start_pebble()
    with _other_dns(panel.zone) as blind:  # it sees the owner's CNAME, and nothing of the tech zone
        profile = panel.profile(pebble.directory_url, pebble.roots_pem, dns_servers=[blind])
        certificate_id = panel.request(profile, "shop.test")
        panel.set_cnames(certificate_id)
        panel.drive(certificate_id, lambda _: "unseen" in (panel.issuance(certificate_id).findings or {}))
        shown = texts_of(panel.core.certificates.hints(certificate_id))
        failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert f"{blind} does not show the TXT values of the order at _acme-challenge.shop.test (0 of 1 values)" in shown
    assert "No action is needed" not in shown
    assert "acme.panel.test is delegated" in failed.problem.advice
    assert failed.problem.advice in shown
    panel.core.authorities.edit(profile.id, settings={"dns_servers": [panel.dns_address]})
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    assert "unseen" not in panel.issuance(certificate_id).findings


def test_an_order_is_made_again_at_once_when_the_cause_is_gone(panel, start_pebble):
    """The owner breaks the CNAME in the middle, and repairs it: the next order goes out as soon as it is seen."""
    pebble = start_pebble(sleep=True)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    for domain in ("shop.test", "b.shop.test", "c.shop.test"):
        certificate_id = panel.request(profile, domain)
        panel.set_cnames(certificate_id)
        (row,) = panel.records(certificate_id)
        panel.drive(certificate_id, lambda _: bool(panel.txt_values()), travel=False)
        panel.zone.set(row.name, "CNAME", "elsewhere.shop.test")
        failed = panel.drive(
            certificate_id, lambda found: found.problem is not None or found.status is Status.ACTIVE, travel=False
        )
        if failed.problem is not None:
            break
        # Pebble, which sleeps for no time now and then, had looked before the owner broke it.
        panel.drive(certificate_id, lambda _: not panel.txt_values())
    assert f"could not validate {domain}" in str(failed.problem)
    orders = panel.issuance(certificate_id).module_state
    begun = panel.environment.now()
    for _ in range(10):  # while it is broken, the CA is not asked
        panel.environment.skip(panel.core.certificates.view(certificate_id).schedule.due_at - panel.environment.now())
        panel.core.reconcile(certificate_id)
    assert panel.environment.now() - begun < timedelta(minutes=10)
    assert panel.issuance(certificate_id).module_state.get("order") is orders.get("order") is None
    assert panel.core.certificates.get(certificate_id).status is Status.PENDING
    panel.zone.set(row.name, "CNAME", row.value)
    repaired = panel.environment.now()
    panel.drive(certificate_id, lambda _: bool((panel.issuance(certificate_id).module_state or {}).get("order")))
    assert panel.environment.now() - repaired < timedelta(minutes=2)
    panel.until_active(certificate_id)


def _other_dns(zone=None):
    import contextlib

    from certcore.adapters.environment import SystemEnvironment
    from certcore.testing.dns_zone import MemoryZone
    from certcore_puq_acme.techzone.server import ZoneServer

    @contextlib.contextmanager
    def serve():
        with ZoneServer(("127.0.0.1", 0), [zone or MemoryZone("shop.test")], SystemEnvironment()) as server:
            yield f"127.0.0.1:{server.address[1]}"

    return serve()


def test_deleting_in_the_middle_leaves_nothing(panel, start_pebble):
    """A certificate that is deleted while its values are published takes them, its key and its attempts with it."""
    pebble = start_pebble(sleep=True)
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: bool(panel.txt_values()), travel=False)
    panel.core.certificates.delete(certificate_id)
    assert panel.txt_values() == []
    assert panel.core.reconcile(certificate_id).status is None
    with inside(panel.core).storage.read() as transaction:
        assert transaction.secrets.names("certificate-key") == []


def test_a_renewal_needs_nothing_from_the_owner(panel, start_pebble):
    """Renewing gets a new leaf with a new key through the same CNAME, and the old one serves until then."""
    pebble = start_pebble()
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "shop.test")
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    before, old = _in_service(panel, certificate_id)
    panel.environment.skip(before.renews_at - panel.environment.now() + timedelta(seconds=1))
    renewed = panel.drive(
        certificate_id, lambda found: found.active_issuance_id != before.certificate.active_issuance_id
    )
    assert renewed.status is Status.ACTIVE
    after, new = _in_service(panel, certificate_id)
    assert after.leaf.serial_hex != before.leaf.serial_hex
    assert new.private_key != old.private_key
    assert panel.txt_values() == []


def test_terms_that_nobody_agreed_to(panel, start_pebble):
    """Without agreement there is no account: the certificate waits, with the terms' address from the directory."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, terms_agreed=False)
    certificate_id = panel.request(profile, "shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    # Pebble's terms are no page that a browser may open: they are told, and no link is made of them.
    assert failed.problem.instance.startswith("data:")
    assert failed.problem.instance in f"{failed.problem} {failed.problem.advice}"
    assert not any(isinstance(hint, Link) for hint in panel.core.certificates.hints(certificate_id))
    panel.core.authorities.edit(profile.id, settings={"terms_agreed": True})
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)


def test_external_account_binding(panel, start_pebble):
    """A CA that wants external account binding gets it from the profile, and its key is nowhere in the clear."""
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    pebble = start_pebble(eab={"kid-1": key})
    certificate_id = panel.request(
        panel.profile(pebble.directory_url, pebble.roots_pem, eab_kid="kid-1", eab_hmac_key=key), "shop.test"
    )
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    stored = b"".join(file.read_bytes() for file in panel.folder.glob("certcore.db*"))
    assert key.encode() not in stored


def test_save_and_test(panel, start_pebble):
    """The check reports directory, account and tech zone, and for a CA that is down what to do, without raising."""
    pebble = start_pebble()
    good = panel.profile(pebble.directory_url, pebble.roots_pem)
    report = panel.core.authorities.check(good.id)
    assert report.ok, report
    assert len(report.items) == 3
    down = panel.profile("https://127.0.0.1:9/dir", name="down", tech_zone="elsewhere.test")
    report = panel.core.authorities.check(down.id)
    assert [item.ok for item in report.items] == [False, True] or not report.ok
    assert any("refused" in str(item.detail) for item in report.items)


def test_save_and_test_of_a_wrong_address(panel, start_pebble):
    """Where there is something else than an ACME directory, the advice is to look at the address."""
    pebble = start_pebble()
    profile = panel.profile(f"{pebble.directory_url}ectory", pebble.roots_pem)
    (item,) = panel.core.authorities.check(profile.id).items[:-1]
    assert not item.ok
    assert "(HTTP status 404)" in str(item.detail)
    assert "that of the CA's ACME directory" in str(item.advice)


def test_names_in_the_tech_zone_and_wildcards_are_refused_early(panel, start_pebble):
    """What a profile cannot issue is refused when the draft is saved, with the field's name."""
    profile = panel.profile("https://127.0.0.1:9/dir", allow_wildcard=False)
    for field, arguments in (
        ("wildcard", {"domain": "shop.test", "wildcard": True}),
        ("aliases", {"domain": "shop.test", "aliases": ["*.a.shop.test"]}),
        ("domain", {"domain": "x.acme.panel.test"}),
    ):
        with pytest.raises(InvalidInputError) as caught:
            panel.core.certificates.create(arguments.pop("domain"), authority=profile.id, **arguments)
        assert caught.value.field == field
    assert panel.core.certificates.list().items == ()


def test_the_right_column_of_every_status(panel, start_pebble):
    """In draft, pending, processing and active there are hints with CNAMEs and the steps, as values with JSON."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    draft = panel.core.certificates.create("shop.test", authority=profile.id)
    shown = {}

    def note(certificate):
        shown[certificate.status] = panel.core.certificates.hints(certificate.id)
        return certificate.status is Status.ACTIVE

    note(draft)
    panel.core.certificates.generate_csr(draft.id)
    panel.set_cnames(draft.id)
    panel.drive(draft.id, note)
    assert set(shown) == {Status.DRAFT, Status.PENDING, Status.PROCESSING, Status.ACTIVE}
    for status, hints in shown.items():
        assert hints, status
        assert all(json.dumps(hint_to_json(hint)) for hint in hints)
        assert any(isinstance(hint, (DnsRecords, Steps)) for hint in hints), status
