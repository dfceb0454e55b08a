"""Nothing about an account or a clock changes in silence: the page, the record, the log and Save and Test say it."""

import logging
from datetime import timedelta

import pytest
from acme_accounts import run_action

from certcore import Status
from certcore.model.hints import Level, Notice
from certcore_puq_acme.account_keys import AccountKeyType
from certcore_puq_acme.accounts import Accounts
from certcore_puq_acme.jose import generate_account_key, load_account_key

pytestmark = pytest.mark.pebble


def _context(panel, profile):
    return panel.core.engine.contexts.context(panel.core.authorities.get(profile.id))[1]


def _warnings(hints):
    return [str(hint.text) for hint in hints if isinstance(hint, Notice) and hint.level is not Level.INFO]


def _account(panel):
    (record,) = [one.value for one in panel.documents("account/") if one.value.get("url")]
    return record


def test_a_new_account_after_a_rollover_and_a_restore_is_told(panel, start_pebble, caplog):
    """Somebody has rolled the key over, and an older database is used: page, record, log, test, certificate say so."""
    caplog.set_level(logging.WARNING, logger="certcore_puq_acme")
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    first, second = panel.issued(profile, "a.shop.test"), panel.issued(profile, "b.shop.test")
    former = _account(panel)["url"]
    elsewhere = Accounts().client(_context(panel, profile))  # what the backup does not know
    elsewhere.change_key(load_account_key(generate_account_key(AccountKeyType.EC_P256)))
    panel.restart()
    panel.core.certificates.renew(first)
    leaf = panel.core.certificates.get(first).active_issuance_id
    panel.drive(first, lambda found: found.active_issuance_id != leaf and found.status is Status.ACTIVE)
    record = _account(panel)
    assert record["url"] != former
    assert any("did not know the account" in line["what"] for line in record["history"])
    told = [f"used in place of {former}" in text for text in _warnings(panel.core.authorities.hints(profile.id))]
    assert any(told)
    report = panel.core.authorities.check(profile.id)
    assert not report.ok
    assert any(former in item.detail and record["url"] in item.detail for item in report.items)
    assert any(former in text for text in _warnings(panel.core.certificates.hints(second)))
    assert any(former in line.getMessage() and record["url"] in line.getMessage() for line in caplog.records)
    run_action(panel, profile, "accept_account")
    assert not any(former in item.detail for item in panel.core.authorities.check(profile.id).items)
    assert not any(former in text for text in _warnings(panel.core.authorities.hints(profile.id)))


def test_save_and_test_tells_of_the_account_that_it_opens_itself(panel, start_pebble):
    """When nothing else has used the account since, the test is the first to see it, and is not green."""
    pebble = start_pebble(nonce_reject=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    assert panel.core.authorities.check(profile.id).ok
    former = _account(panel)["url"]
    elsewhere = Accounts().client(_context(panel, profile))
    elsewhere.change_key(load_account_key(generate_account_key(AccountKeyType.EC_P256)))
    assert not panel.core.authorities.check(profile.id).ok  # the CA may be wrong for a moment
    panel.environment.skip(timedelta(minutes=2))
    report = panel.core.authorities.check(profile.id)
    assert not report.ok
    assert any(former in item.detail for item in report.items)


def test_another_ca_in_the_same_profile_is_told_and_is_no_fault(panel, start_pebble):
    """Somebody wanted it: the page says which account is used now, and Save and Test is green."""
    first, second = start_pebble(nonce_reject=0), start_pebble(nonce_reject=0)
    profile = panel.profile(first.directory_url, first.roots_pem)
    panel.core.authorities.check(profile.id)
    former = _account(panel)["url"]
    panel.move(profile, second)
    report = panel.core.authorities.check(profile.id)
    assert all(item.ok for item in report.items if "before" in str(item.title))
    texts = [str(hint.text) for hint in panel.core.authorities.hints(profile.id) if isinstance(hint, Notice)]
    assert any(f"in place of {former}" in text and "set to another CA" in text for text in texts)


def test_a_clock_that_differs_from_the_cas_is_told_with_both_times(panel, trouble):
    """On the profile's page, by Save and Test and on certificates' pages; no more when the clocks agree again."""
    plan, proxy = trouble
    offset = [timedelta(hours=2)]

    def rewrite(path, status, body, headers):
        date = panel.environment.now() + offset[0]
        return status, body, {**headers, "date": f"{date:%a, %d %b %Y %H:%M:%S} GMT"}

    plan.rewrite = rewrite
    profile = panel.profile(**proxy)
    one = panel.issued(profile, "shop.test")
    for hints in (panel.core.authorities.hints(profile.id), panel.core.certificates.hints(one)):
        assert any("2 hours behind" in text and text.count("UTC") == 2 for text in _warnings(hints))
    offset[0] = timedelta(minutes=4)  # tolerated
    report = panel.core.authorities.check(profile.id)
    assert not any("clock" in str(item.title) for item in report.items)
    assert not any("clock" in text for text in _warnings(panel.core.certificates.hints(one)))
    offset[0] = -timedelta(days=400)
    report = panel.core.authorities.check(profile.id)
    assert any("400 days ahead" in item.detail and not item.ok for item in report.items)
    panel.environment.skip(-timedelta(days=300))  # our clock was set: what was seen before says nothing any more
    assert not any("clock" in text for text in _warnings(panel.core.authorities.hints(profile.id)))
