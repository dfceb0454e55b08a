"""Renewal information: the CA's window is followed, and an order says which leaf it replaces."""

import json
from datetime import timedelta

import pytest

from certcore import Status
from certcore_puq_acme.orders.renewal_info import certificate_id
from support.hint_texts import notices_and_facts


def _renewed(panel, certificate_id):
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)


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
    assert "The CA suggests a renewal" in notices_and_facts(panel, certificate_id)
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
    panel.drive(certificate_id, lambda _: "orders 1 per 1d" in notices_and_facts(panel, certificate_id))
    flying = [each.value for each in panel.documents("budget/") if each.key.endswith("flight")]
    assert flying == [{}]
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    assert panel.issuance(certificate_id).finished_at - begun > timedelta(hours=20)
    assert _orders(plan) == [False, True, False]
