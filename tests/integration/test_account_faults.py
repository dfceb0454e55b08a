"""ACME accounts at a CA in trouble: no key and no account is given up without the CA's word."""

import json
from datetime import timedelta

import pytest

from certcore.errors import CAError
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.network import Network
from support.acme_accounts import (
    FAULTS,
    NEW_ACCOUNT,
    ROLLOVER,
    account_at_the_ca,
    context_of,
    dislike_to_be_asked,
    offered_actions,
    pass_answers_on,
    path_of,
    problem_document,
    record_of,
    replace_answers,
    run_action,
    texts_of,
)

pytestmark = pytest.mark.pebble

# -- rollover -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_a_rollover_whose_answer_is_none_keeps_the_account(panel, trouble, fault):
    """Whatever is sent instead of the CA's answer, the key that counts is kept: the account works, with its URL."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    plan.faults = [(ROLLOVER, fault)]
    with pytest.raises(CAError):
        run_action(panel, profile, "roll_over_account_key")
    assert plan.happened == [(ROLLOVER, fault)]
    assert context_of(panel, profile).documents.unseal(before.key_name) is not None
    panel.restart()
    panel.issued(profile, "a.shop.test")
    assert record_of(panel, profile).url == before.url
    panel.environment.skip(timedelta(minutes=11))
    run_action(panel, profile, "roll_over_account_key")
    assert account_at_the_ca(panel, profile).url == before.url


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>bad gateway</html>"),
        (504, b""),
        (408, problem_document("malformed")),
        (429, problem_document("rateLimited")),
        (400, problem_document("malformed", "JWS verification error: the request was repeated on its way")),
        (200, b"<!DOCTYPE html><title>Please log in</title>"),
        (204, b""),
    ],
)
def test_a_rollover_that_was_done_is_found_out(panel, trouble, status, body):
    """The CA has the new key, and something on the way answers otherwise: the new key is kept, and found to count."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    replace_answers(plan, ROLLOVER, status, body)
    with pytest.raises(CAError):
        run_action(panel, profile, "roll_over_account_key")
    pass_answers_on(plan)
    panel.restart()
    panel.issued(profile, "a.shop.test")
    after = record_of(panel, profile)
    assert (after.url, after.next_key) == (before.url, None)
    assert after.key != before.key


def test_a_rollover_that_was_not_done_costs_no_key(panel, trouble):
    """A 200 with a nonce that is not the CA's word: the new key does not work, so the old one is not destroyed."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)

    def rewrite(path, status, body, headers):
        if path == "/dir":  # the change goes to a place that says yes and does nothing
            document = json.loads(body)
            document["keyChange"] = document["newNonce"]
            body = json.dumps(document).encode()
        if path == "/nonce-plz":
            return 200, b"", headers
        return status, body, headers

    plan.rewrite = rewrite
    panel.restart()
    with pytest.raises(CAError):
        run_action(panel, profile, "roll_over_account_key")
    pass_answers_on(plan)
    assert context_of(panel, profile).documents.unseal(before.key_name) is not None
    panel.environment.skip(timedelta(minutes=11))
    panel.restart()
    assert account_at_the_ca(panel, profile).url == before.url
    assert record_of(panel, profile).key == before.key


def test_a_refused_rollover_leaves_nothing_behind(panel, trouble):
    """The CA refuses the new key and takes the old one: the new one is deleted, and another rollover may begin."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    plan.has = lambda _, path: path != ROLLOVER
    with pytest.raises(CAError):
        run_action(panel, profile, "roll_over_account_key")
    after = record_of(panel, profile)
    assert (after.key, after.next_key) == (before.key, None)
    assert context_of(panel, profile).documents.unseal(before.sealed(before.next_number)) is None
    plan.has = lambda *_: True
    run_action(panel, profile, "roll_over_account_key")
    assert account_at_the_ca(panel, profile).url == before.url


@pytest.mark.parametrize("done", [True, False])
def test_a_rollover_at_a_ca_that_cannot_be_asked_for_accounts(panel, trouble, done):
    """If the CA refuses onlyReturnExisting, the account itself is read with each key; no other one is opened."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    plan.faults = [(ROLLOVER, "lost" if done else "reset")]
    with pytest.raises(CAError):
        run_action(panel, profile, "roll_over_account_key")
    dislike_to_be_asked(plan)
    panel.environment.skip(timedelta(minutes=11))
    panel.restart()
    panel.issued(profile, "a.shop.test")
    after = record_of(panel, profile)
    assert after.url == before.url
    assert (after.key != before.key) is done


# -- a key that is gone -------------------------------------------------------------------------------------------


def test_an_account_key_that_is_gone_is_told(panel, start_pebble):
    """No other account is opened without a word; a restored key goes on, and open_account is offered meanwhile."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    run_action(panel, profile, "open_account")
    before, documents = record_of(panel, profile), context_of(panel, profile).documents
    pem = documents.unseal(before.key_name)
    documents.delete_secret(before.key_name)
    panel.restart()
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "is not in the store" in str(failed.problem)
    assert "Restore it from a backup" in failed.problem.advice
    assert record_of(panel, profile) == before
    assert "open_account" in offered_actions(panel, profile)
    context_of(panel, profile).documents.seal(before.key_name, pem)
    panel.until_active(certificate_id)
    assert "open_account" not in offered_actions(panel, profile)
    assert record_of(panel, profile).url == before.url


def test_an_account_without_a_key_is_replaced_on_demand(panel, start_pebble):
    """Where there is no backup, open_account opens another account."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    context_of(panel, profile).documents.delete_secret(before.key_name)
    panel.restart()
    run_action(panel, profile, "open_account")
    assert record_of(panel, profile).url not in ("", before.url)
    panel.issued(profile, "a.shop.test")


# -- closed elsewhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found_by", ["a certificate", "save and test", "roll_over_account_key", "deactivate_account"])
def test_an_account_that_was_closed_elsewhere(panel, start_pebble, found_by):
    """It is recognised by whatever uses it first, and written down; then open_account is offered, and helps."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    one = panel.issued(profile, "a.shop.test")
    before = record_of(panel, profile)
    # Another program has the same key.
    Accounts(network=Network()).client(context_of(panel, profile)).deactivate_account()
    if found_by == "a certificate":
        panel.core.certificates.renew(one)
        failed = panel.drive(one, lambda certificate: certificate.problem is not None)
        assert "deactivated" in str(failed.problem)
        assert "open_account" in failed.problem.advice
    elif found_by == "save and test":
        (failed,) = [one for one in panel.core.authorities.check(profile.id).items if "deactivated" in str(one.detail)]
        assert not failed.ok
        assert "open_account" in str(failed.advice)
    elif found_by == "roll_over_account_key":
        with pytest.raises(CAError, match="deactivated"):
            run_action(panel, profile, found_by)
    else:
        assert "deactivated" in run_action(panel, profile, found_by)
    assert record_of(panel, profile).is_closed
    assert record_of(panel, profile).url == before.url
    assert "deactivated" in texts_of(panel.core.authorities.hints(profile.id))
    run_action(panel, profile, "open_account")
    assert record_of(panel, profile).url not in ("", before.url)
    serial = panel.core.certificates.view(one).leaf.serial_hex
    panel.core.certificates.renew(one)
    panel.drive(one, lambda _: panel.core.certificates.view(one).leaf.serial_hex != serial)


@pytest.mark.parametrize("what", ["a status", "a refusal that only the account's page tells of"])
def test_other_ways_to_say_that_an_account_is_closed(panel, trouble, what):
    """A CA that still shows the account says so in its status; one that dislikes questions says so in words."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    certificate_id = panel.issued(profile, "a.shop.test")
    account = path_of(record_of(panel, profile).url)

    def rewrite(path, status, body, headers):
        if path == "/order-plz":
            return 403, problem_document("unauthorized", "no"), headers
        if path == account and what == "a status":
            return 200, json.dumps({"status": "revoked"}).encode(), headers
        if path == account:
            return 401, problem_document("unauthorized", 'Account is not valid, has status "deactivated"'), headers
        if path == NEW_ACCOUNT:
            return 400, problem_document("malformed", "no such question"), headers
        return status, body, headers

    plan.rewrite = rewrite
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert record_of(panel, profile).is_closed
    assert "open_account" in offered_actions(panel, profile)


def test_a_refusal_alone_does_not_close_an_account(panel, trouble):
    """An order that is refused as unauthorized while the account is fine leaves the account as it is."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    replace_answers(plan, "/order-plz", 403, problem_document("unauthorized", "not for this name"))
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert record_of(panel, profile) == before


def test_a_closed_account_of_which_the_record_is_gone(panel, start_pebble):
    """Only the key was restored and its account is closed: the page says so, and open_account makes a new key."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    certificate_id = panel.issued(profile, "a.shop.test")
    before = record_of(panel, profile)
    run_action(panel, profile, "deactivate_account")
    context_of(panel, profile).documents.delete(before.document)
    panel.restart()
    panel.core.certificates.renew(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "open_account" in failed.problem.advice
    run_action(panel, profile, "open_account")
    assert record_of(panel, profile).url not in ("", before.url)
