"""Orders: profiles, replacements, validity, chains, CAA, many names, and the other CA when one keeps failing."""

import contextlib
import json
from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import InvalidInputError
from certcore.model.events import EventKind
from certcore.model.form import FieldKind
from certcore.model.hints import DnsRecords, Facts, Notice, RecordState
from certcore.model.issuance import TOO_MUCH
from certcore.x509.chain import parse_chain, verify_chain
from certcore_puq_acme.orders.renewal_info import certificate_id
from support.acme_accounts import path_of

PROFILES = {"classic": "for 90 days", "shortlived": "for 6 days"}


def _renewed(panel, certificate_id):
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)


def _texts(panel, certificate_id):
    hints = panel.core.certificates.hints(certificate_id)
    notices = [str(hint.text) for hint in hints if isinstance(hint, Notice)]
    facts = [f"{row.label}: {row.value}" for hint in hints if isinstance(hint, Facts) for row in hint.rows]
    return "\n".join(notices + facts)


# -- certificate profiles (acme2certifier) ------------------------------------------------------------------------


def test_certificate_profiles(panel, start_acme2certifier):
    """The forms offer what the directory does, with its descriptions; each certificate may have its own."""
    server = start_acme2certifier(profiles=PROFILES, profile_days={"shortlived": 6})
    profile = panel.profile(server.directory_url, server.roots_pem, certificate_profile="classic")
    panel.issued(profile, "a.shop.test")
    forms = (panel.core.authorities.profile_form(profile.id), panel.core.authorities.certificate_form(profile.id))
    for form in forms:
        (field,) = (one for one in form if one.name == "certificate_profile")
        assert field.kind is FieldKind.CHOICE
        assert [str(choice.label) for choice in field.choices][1:] == ["classic: for 90 days", "shortlived: for 6 days"]
    short = panel.issued(profile, "b.shop.test", module_data={"certificate_profile": "shortlived"})
    assert panel.core.certificates.view(short).leaf.lifetime <= timedelta(days=7)
    with pytest.raises(InvalidInputError) as caught:
        panel.core.certificates.create(
            "c.shop.test", authority=profile.id, module_data={"certificate_profile": "longlived"}
        )
    assert caught.value.field == "certificate_profile"


def test_a_profile_that_the_ca_does_not_offer_any_more(panel, start_acme2certifier):
    """No order is wasted on it; the error says what the CA offers."""
    server = start_acme2certifier(profiles=PROFILES)
    profile = panel.profile(server.directory_url, server.roots_pem, certificate_profile="gone")
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.ERROR
    assert "classic, shortlived" in failed.problem.advice
    panel.core.authorities.edit(profile.id, settings={"certificate_profile": ""})
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)


# -- renewal information (acme2certifier) -------------------------------------------------------------------------


def test_renewal_information_is_asked_and_followed(panel, start_acme2certifier):
    """The CA's window comes to the certificate, its moment is kept, and the renewal begins then."""
    server = start_acme2certifier(
        renewal_percent=50, renewal_window=timedelta(days=2), renewal_retry_after=6 * 3600, days=90
    )
    profile = panel.profile(server.directory_url, server.roots_pem)
    certificate_id = panel.issued(profile, "a.shop.test")
    first = panel.core.certificates.view(certificate_id).leaf
    panel.drive(
        certificate_id, lambda _: panel.core.certificates.view(certificate_id).active.renewal_info.start is not None
    )
    view = panel.core.certificates.view(certificate_id)
    info = view.active.renewal_info
    middle = first.not_before + first.lifetime / 2
    assert abs(info.start - middle) < timedelta(minutes=5)
    assert info.end - info.start == timedelta(days=2)
    assert info.start <= view.renews_at == info.renew_at <= info.end
    assert info.check_at - info.checked_at == timedelta(hours=6)
    assert "The CA suggests a renewal" in _texts(panel, certificate_id)
    for _ in range(5):
        panel.core.reconcile(certificate_id)
        panel.environment.skip(timedelta(hours=6))
    assert panel.core.certificates.view(certificate_id).active.renewal_info.renew_at == info.renew_at
    panel.environment.skip(info.renew_at - panel.environment.now())
    renewed = panel.drive(
        certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != first.serial_hex
    )
    assert renewed.status is Status.ACTIVE


def test_a_ca_that_wants_everything_renewed_now(panel, start_acme2certifier):
    """A window that has begun long ago renews within the hour, without anybody's doing."""
    server = start_acme2certifier(renewal_now=True)
    profile = panel.profile(server.directory_url, server.roots_pem)
    certificate_id = panel.issued(profile, "a.shop.test")
    begun = panel.environment.now()
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    assert panel.environment.now() - begun < timedelta(hours=25)


def test_certificates_are_named_as_the_rfc_says():
    """The example of RFC 9773 section 4.1: key identifier and serial number, the sign byte included."""
    # The leaf of RFC 9773 appendix A.
    pem = """-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
"""
    assert certificate_id(pem) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_an_order_says_which_leaf_it_replaces(panel, start_acme2certifier, before):
    """A renewal at a CA with renewal information names the leaf in service; a first order, or one elsewhere, none."""
    plan, proxy = before(start_acme2certifier())
    profile = panel.profile(**proxy)
    one = panel.issued(profile, "a.shop.test")
    first = panel.core.certificates.view(one).active.leaf_pem
    _renewed(panel, one)
    orders = [payload for path, payload in plan.asked if path.endswith("/neworders") and payload]
    assert [order.get("replaces") for order in orders] == [None, certificate_id(first)]
    assert "profile" not in orders[0]


def test_a_leaf_that_was_replaced_already_is_replaced_no_less(panel, start_acme2certifier, before):
    """A CA that says alreadyReplaced gets the same order without the word."""
    plan, proxy = before(start_acme2certifier())
    certificate_id = panel.issued(panel.profile(**proxy), "a.shop.test")

    def rewrite(path, status, body, headers):
        if path.endswith("/neworders") and plan.asked[-1][1].get("replaces"):
            problem = {"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "that one is replaced"}
            return 409, json.dumps(problem).encode(), {"replay-nonce": headers["replay-nonce"]}
        return status, body, headers

    plan.rewrite = rewrite
    _renewed(panel, certificate_id)
    orders = [payload for path, payload in plan.asked if path.endswith("/neworders") and payload]
    assert [bool(order.get("replaces")) for order in orders] == [False, True, False]
    assert panel.core.certificates.get(certificate_id).problem is None


def _refuses_replaces(plan, problem, status):
    """The CA refuses every order that says which leaf it replaces."""

    def rewrite(path, was, body, headers):
        if path.endswith("/neworders") and plan.asked[-1][1].get("replaces"):
            return status, json.dumps(problem).encode(), {"replay-nonce": headers["replay-nonce"]}
        return was, body, headers

    plan.rewrite = rewrite


def _orders(plan):
    """Whether each order that was placed says which leaf it replaces."""
    return [bool(asked.get("replaces")) for path, asked in plan.asked if path.endswith("/neworders") and asked]


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [
        (403, "unauthorized", "requester account did not request the certificate being replaced by this order"),
        (400, "malformed", "no such certificate"),
        (404, "malformed", "not found"),
    ],
)
def test_whatever_a_ca_does_not_like_about_the_replaced_leaf(panel, start_acme2certifier, before, status, kind, detail):
    """The renewal is ordered without naming the leaf, at once."""
    plan, proxy = before(start_acme2certifier())
    certificate_id = panel.issued(panel.profile(**proxy), "a.shop.test")
    _refuses_replaces(plan, {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}, status)
    begun = panel.environment.now()
    _renewed(panel, certificate_id)
    assert panel.issuance(certificate_id).finished_at - begun < timedelta(minutes=1)
    assert _orders(plan) == [False, True, False]


def test_a_leaf_of_another_account_is_not_named(panel, start_acme2certifier, before):
    """After a change of account the order does not say that it replaces a leaf, which the CA would refuse."""
    plan, proxy = before(start_acme2certifier())
    profile = panel.profile(**proxy)
    certificate_id = panel.issued(profile, "a.shop.test")
    _renewed(panel, certificate_id)
    panel.core.authorities.run_action(profile.id, "deactivate_account", {}, actor="root")
    panel.core.authorities.run_action(profile.id, "open_account", {}, actor="root")
    _renewed(panel, certificate_id)
    _renewed(panel, certificate_id)
    assert _orders(plan) == [False, True, False, True]


def test_an_order_that_may_not_replace_waits_for_its_turn(panel, start_acme2certifier, before):
    """It counts as an order like others: a limit that exempts replacements makes it wait, without asking again."""
    plan, proxy = before(start_acme2certifier())
    certificate_id = panel.issued(panel.profile(**proxy, limits=["orders 1 per 1d except ari"]), "a.shop.test")
    _refuses_replaces(plan, {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "not yours"}, 403)
    begun = panel.environment.now()
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: "orders 1 per 1d" in _texts(panel, certificate_id))
    flying = [each.value for each in panel.documents("budget/") if each.key.endswith("flight")]
    assert flying == [{}]
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    assert panel.issuance(certificate_id).finished_at - begun > timedelta(hours=20)
    assert _orders(plan) == [False, True, False]


# -- replaces, validity, chains (Pebble and a proxy) --------------------------------------------------------------


@pytest.mark.pebble
def test_a_validity_of_the_customers_choice(panel, start_pebble):
    """Where the CA lets the customer choose, the certificate ends when it was asked for."""
    pebble = start_pebble()
    certificate_id = panel.issued(
        panel.profile(pebble.directory_url, pebble.roots_pem, validity_days=20), "a.shop.test"
    )
    left = panel.core.certificates.view(certificate_id).leaf.not_after - panel.environment.now()
    assert timedelta(days=19) < left <= timedelta(days=20)


@pytest.mark.pebble
def test_a_validity_that_the_ca_does_not_like(panel, trouble):
    """The advice names the setting."""
    plan, proxy = trouble
    problem = {"type": "urn:ietf:params:acme:error:malformed", "detail": "NotBefore and NotAfter are not supported"}

    def rewrite(path, status, body, headers):
        if path == "/order-plz":
            return 400, json.dumps(problem).encode(), {"replay-nonce": headers["replay-nonce"]}
        return status, body, headers

    plan.rewrite = rewrite
    certificate_id = panel.request(panel.profile(**proxy, validity_days=30), "a.shop.test")
    panel.set_cnames(certificate_id)
    refused = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "validity_days" in refused.problem.advice


@pytest.mark.pebble
@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (500, b"{}"), (200, b"no certificate")])
def test_an_alternate_chain_that_cannot_be_had(panel, start_pebble, before, status, body):
    """The CA's own choice is installed, with a word about it; one order is placed."""
    pebble = start_pebble(nonce_reject=0, alternate_roots=1)
    plan, proxy = before(pebble)
    profile = panel.profile(**proxy, preferred_chain=parse_root(pebble.issuer_root_pem(1)))
    plan.rewrite = lambda path, *was: (status, body, was[2]) if "/alternate/" in path else was
    certificate_id = panel.issued(profile, "a.shop.test")
    assert "1 more could not be downloaded" in _texts(panel, certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1


@pytest.mark.pebble
def test_wrong_roots_cost_no_more_than_one_leaf(panel, start_pebble, before):
    """The leaf that is there is judged again later and later; when the profile is corrected it is installed."""
    pebble = start_pebble(nonce_reject=0)
    plan, proxy = before(pebble)
    profile = panel.profile(**proxy, chain_roots=pebble.roots_pem)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    begun = panel.environment.now()
    waits = []
    panel.drive(certificate_id, lambda _: panel.environment.now() - begun > timedelta(days=7), travel=True)
    for _ in range(2):
        waits.append(panel.core.reconcile(certificate_id).look_again - panel.environment.now())
        panel.environment.skip(waits[-1])
    assert min(waits) > timedelta(hours=6)
    assert "no chain to any of the roots" in str(panel.core.certificates.get(certificate_id).problem)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1
    panel.core.authorities.edit(profile.id, settings={"chain_roots": pebble.issuer_root_pem(0)})
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1


@pytest.mark.pebble
def test_an_unreadable_certificate_is_fetched_again(panel, trouble):
    """No second leaf is ordered for it within a day."""
    plan, proxy = trouble
    certificate_id = panel.request(panel.profile(**proxy), "a.shop.test")
    panel.set_cnames(certificate_id)
    text = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    plan.rewrite = lambda path, *was: (200, text, was[2]) if path.startswith("/certZ/") else was
    refused = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "downloaded again" in refused.problem.advice
    assert panel.txt_values() == []
    plan.rewrite = lambda path, *was: was
    panel.until_active(certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1


@pytest.mark.pebble
def test_a_certificate_that_is_gone_is_ordered_anew(panel, start_pebble, before):
    """While its chain waits to be judged again, the CA may forget it."""
    pebble = start_pebble(nonce_reject=0)
    plan, proxy = before(pebble)
    profile = panel.profile(**proxy, chain_roots=pebble.roots_pem)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    gone = path_of(panel.issuance(certificate_id).module_state["certificate"])
    plan.has = lambda _, path: path != gone
    panel.core.authorities.edit(profile.id, settings={"chain_roots": ""})
    panel.until_active(certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 2


@pytest.mark.pebble
def test_the_preferred_chain(panel, start_pebble):
    """The alternate chain is chosen by the name of its root or of an issuer; an unknown name is only reported."""
    pebble = start_pebble(alternate_roots=2, chain_length=2)
    roots = [pebble.issuer_root_pem(number) for number in range(3)]
    names = [parse_root(root) for root in roots]
    for number in range(3):
        profile = panel.profile(
            pebble.directory_url, pebble.roots_pem, name=f"ca {number}", preferred_chain=names[number].upper()
        )
        certificate_id = panel.issued(profile, f"d{number}.shop.test")
        chain = parse_chain(panel.core.certificates.export(certificate_id, reason="test").fullchain_pem)
        verify_chain(chain, roots[number], panel.environment.now())
        assert f"Root: {names[number]}" in _texts(panel, certificate_id)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, name="other", preferred_chain="No Such Root")
    certificate_id = panel.issued(profile, "x.shop.test")
    text = _texts(panel, certificate_id)
    assert "'No Such Root'" in text
    assert names[0] in text


def parse_root(pem):
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


@pytest.mark.pebble
def test_roots_that_are_insisted_on(panel, start_pebble):
    """The chain has to lead to one of the profile's roots, alternates included; else nothing is installed."""
    pebble = start_pebble(alternate_roots=1)
    second = panel.profile(pebble.directory_url, pebble.roots_pem, name="second", chain_roots=pebble.issuer_root_pem(1))
    certificate_id = panel.issued(second, "a.shop.test")
    chain = parse_chain(panel.core.certificates.export(certificate_id, reason="test").fullchain_pem)
    verify_chain(chain, pebble.issuer_root_pem(1), panel.environment.now())
    wrong = panel.profile(pebble.directory_url, pebble.roots_pem, name="wrong", chain_roots=pebble.roots_pem)
    two = panel.request(wrong, "b.shop.test")
    panel.set_cnames(two)
    failed = panel.drive(two, lambda certificate: certificate.problem is not None)
    assert failed.active_issuance_id is None
    assert "no chain to any of the roots" in str(failed.problem)
    assert "chain_roots" in failed.problem.advice
    assert panel.txt_values() == []


# -- CAA ----------------------------------------------------------------------------------------------------------


def test_a_caa_record_that_forbids_the_ca(panel, start_acme2certifier):
    """No order is placed; the owner sees the record that stands there and the one to add; then it goes on at once."""
    server = start_acme2certifier(caa_identities=["ca.test"])
    profile = panel.profile(server.directory_url, server.roots_pem)
    panel.zone.set("shop.test", "CAA", '0 issue "other.test"')
    certificate_id = panel.request(profile, "www.shop.test")
    panel.set_cnames(certificate_id)
    panel.core.reconcile(certificate_id)
    assert panel.core.certificates.get(certificate_id).status is Status.PENDING
    assert "order" not in (panel.issuance(certificate_id).module_state or {})
    tables = [hint for hint in panel.core.certificates.hints(certificate_id) if isinstance(hint, DnsRecords)]
    (row,) = tables[-1].rows
    assert (row.name, row.type, row.value, row.state) == ("shop.test", "CAA", '0 issue "ca.test"', RecordState.WRONG)
    assert "other.test" in row.seen
    panel.zone.add("shop.test", "CAA", '0 issue "ca.test; validationmethods=dns-01"')
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    panel.zone.set("shop.test", "CAA", '0 issue "other.test"')
    panel.core.authorities.edit(profile.id, settings={"check_caa": False})
    panel.issued(profile, "b.shop.test")  # this CA does not look at CAA records itself


# -- many names ---------------------------------------------------------------------------------------------------


@pytest.mark.pebble
@pytest.mark.slow(reason="issues for hundreds of names")
@pytest.mark.timeout(900)
# Four are already more than are in flight at once; ten show more of the same.
@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.soak)])
def test_certificates_of_a_hundred_names(panel, start_pebble, count):
    """Apex, wildcard and 98 aliases each: all active, all authorizations at once, at most 4 requests a name and 8."""
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    said_before = len(_log(pebble))
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    ids = []
    for number in range(count):
        domain = f"z{number}.shop.test"
        aliases = [f"a{alias}.{domain}" for alias in range(98)]
        ids.append(panel.request(profile, domain, aliases=aliases, wildcard=True))
        panel.set_cnames(ids[-1])
    worker = panel.core.worker(threads=2, in_flight=3, poll_interval=0.05)
    worker.start()
    try:
        assert worker.wait_until_idle(timeout=800)
    finally:
        assert worker.stop(timeout=120)
    assert [panel.core.certificates.get(certificate_id).status for certificate_id in ids] == [Status.ACTIVE] * count
    for one in ids:
        assert len(panel.core.certificates.view(one).leaf.names) == 100
    assert panel.txt_values() == []
    requests = sum(
        " /" in line and ("POST" in line or "GET" in line or "HEAD" in line) for line in _log(pebble)[said_before:]
    )
    assert count * 100 < requests <= count * (4 * 100 + 8)


def _log(pebble):
    return pebble.log_path.read_text(errors="replace").splitlines()


# -- another CA ---------------------------------------------------------------------------------------------------


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
    assert "a.shop.test" in _texts(panel, certificate_id)


@contextlib.contextmanager
def _elsewhere():
    """A DNS server that knows nothing of the tech zone."""
    from certcore.adapters.environment import SystemEnvironment
    from certcore.testing.dns_zone import MemoryZone
    from certcore_puq_acme.techzone.server import ZoneServer

    with ZoneServer(("127.0.0.1", 0), [MemoryZone("shop.test")], SystemEnvironment()) as server:
        yield f"127.0.0.1:{server.address[1]}"


# -- orders that are shared ---------------------------------------------------------------------------------------


@pytest.mark.pebble
def test_two_certificates_for_the_same_names_at_once(panel, start_pebble):
    """Both get their own leaf for their own key, also where the CA reuses authorizations."""
    pebble = start_pebble(authz_reuse=100)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    ids = [panel.request(profile, "a.shop.test") for _ in range(2)]
    panel.set_cnames(ids[0])
    for _ in range(60):
        for one in ids:
            panel.core.reconcile(one)
        panel.environment.skip(timedelta(seconds=1))
    leaves = {panel.core.certificates.view(certificate_id).leaf.serial_hex for certificate_id in ids}
    assert len(leaves) == 2
    assert panel.txt_values() == []
