"""Nothing about an account or a clock changes in silence: the page, the record, the log and Save and Test say it."""

import logging
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from certcore import Status
from certcore.cli.app import app
from certcore.model.hints import Level, Notice
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.network import Network
from certcore_puq_acme.protocol.account_key_types import AccountKeyType
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key
from support.acme_accounts import context_of, run_action

pytestmark = pytest.mark.pebble


def _warnings(hints):
    return [str(hint.text) for hint in hints if isinstance(hint, Notice) and hint.level is not Level.INFO]


def _noted(panel, certificate):
    """What the timeline says of the account, and what `certcore cert timeline` shows of it."""
    events = [event for event in panel.core.certificates.timeline(certificate, limit=1000) if event.kind == "noted"]
    assert {event.data["about"] for event in events} <= {"account"}
    texts = [event.data["text"] for event in events]
    env = {"CERTCORE_DATABASE_URL": str(panel.url), "CERTCORE_KEYRING": str(panel.keyring), "COLUMNS": "1000"}
    done = CliRunner().invoke(app, ["cert", "timeline", certificate], env=env)
    assert done.exit_code == 0, done.output
    assert all(text in " ".join(done.stdout.split()) for text in texts)
    return texts


def _account(panel):
    (record,) = [document.value for document in panel.documents("account/") if document.value.get("url")]
    return record


def test_a_new_account_after_a_rollover_and_a_restore_is_told(panel, start_pebble, caplog):
    """Somebody has rolled the key over, and an older database is used: page, record, log, test, certificate say so."""
    caplog.set_level(logging.WARNING, logger="certcore_puq_acme")
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    first, second = panel.issued(profile, "a.shop.test"), panel.issued(profile, "b.shop.test")
    former = _account(panel)["url"]
    elsewhere = Accounts(network=Network()).client(context_of(panel, profile))  # what the backup does not know
    elsewhere.change_key(load_account_key(generate_account_key(AccountKeyType.EC_P256)))
    panel.restart()
    panel.core.certificates.renew(first)
    leaf = panel.core.certificates.get(first).active_issuance_id
    panel.drive(first, lambda found: found.active_issuance_id != leaf and found.status is Status.ACTIVE)
    record = _account(panel)
    assert record["url"] != former
    (noted,) = _noted(panel, first)
    assert former in noted
    assert record["url"] in noted
    assert "no longer knew the former account or its key" in noted
    assert any("did not know the account" in line["what"] for line in record["history"])
    told = [f"used in place of {former}" in text for text in _warnings(panel.core.authorities.hints(profile.id))]
    assert any(told)
    report = panel.core.authorities.check(profile.id)
    assert not report.ok
    assert any(former in str(item.detail) and record["url"] in str(item.detail) for item in report.items)
    assert any(former in text for text in _warnings(panel.core.certificates.hints(second)))
    assert _noted(panel, second) == []  # nothing has happened to it yet
    leaf = panel.core.certificates.get(second).active_issuance_id
    panel.core.certificates.renew(second)
    panel.drive(second, lambda found: found.active_issuance_id != leaf and found.status is Status.ACTIVE)
    assert _noted(panel, second) == [noted]
    assert any(former in line.getMessage() and record["url"] in line.getMessage() for line in caplog.records)
    run_action(panel, profile, "accept_account")
    assert not any(former in str(item.detail) for item in panel.core.authorities.check(profile.id).items)
    assert not any(former in text for text in _warnings(panel.core.authorities.hints(profile.id)))


def test_save_and_test_tells_of_the_account_that_it_opens_itself(panel, start_pebble):
    """When nothing else has used the account since, the test is the first to see it, and is not green."""
    pebble = start_pebble(nonce_reject=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    assert panel.core.authorities.check(profile.id).ok
    former = _account(panel)["url"]
    elsewhere = Accounts(network=Network()).client(context_of(panel, profile))
    elsewhere.change_key(load_account_key(generate_account_key(AccountKeyType.EC_P256)))
    assert not panel.core.authorities.check(profile.id).ok  # the CA may be wrong for a moment
    panel.environment.skip(timedelta(minutes=2))
    report = panel.core.authorities.check(profile.id)
    assert not report.ok
    assert any(former in str(item.detail) for item in report.items)


def test_another_ca_in_the_same_profile_is_told_and_is_no_fault(panel, start_pebble):
    """Somebody wanted it: the page says which account is used now, and Save and Test is green."""
    first, second = start_pebble(nonce_reject=0), start_pebble(nonce_reject=0)
    profile = panel.profile(first.directory_url, first.roots_pem)
    certificate_id = panel.issued(profile, "shop.test")
    leaf = panel.core.certificates.get(certificate_id).active_issuance_id
    former = _account(panel)["url"]
    panel.move(profile, second)
    report = panel.core.authorities.check(profile.id)
    assert all(item.ok for item in report.items if "before" in str(item.title))
    texts = [str(hint.text) for hint in panel.core.authorities.hints(profile.id) if isinstance(hint, Notice)]
    assert any(f"in place of {former}" in text and "set to another CA" in text for text in texts)
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda found: found.active_issuance_id != leaf and found.status is Status.ACTIVE)
    (noted,) = _noted(panel, certificate_id)
    assert f"in place of {former}" in noted
    assert "set to another CA" in noted


def test_a_usual_renewal_notes_nothing(panel, start_pebble):
    """While the account stays the same, the timeline has no word about it: at first, after a renewal, a rollover."""
    pebble = start_pebble(nonce_reject=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    certificate_id = panel.issued(profile, "shop.test")
    leaf = panel.core.certificates.get(certificate_id).active_issuance_id
    run_action(panel, profile, "roll_over_account_key")
    panel.restart()
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda found: found.active_issuance_id != leaf and found.status is Status.ACTIVE)
    assert _noted(panel, certificate_id) == []


def test_a_clock_that_differs_from_the_cas_is_told_with_both_times(panel, trouble):
    """On the profile's page, by Save and Test and on certificates' pages; no more when the clocks agree again."""
    plan, proxy = trouble
    offset = [timedelta(hours=2)]

    def rewrite(path, status, body, headers):
        date = panel.environment.now() + offset[0]
        return status, body, {**headers, "date": f"{date:%a, %d %b %Y %H:%M:%S} GMT"}

    plan.rewrite = rewrite
    profile = panel.profile(**proxy)
    certificate_id = panel.issued(profile, "shop.test")
    for hints in (panel.core.authorities.hints(profile.id), panel.core.certificates.hints(certificate_id)):
        assert any("2 hours behind" in text and text.count("UTC") == 2 for text in _warnings(hints))
    offset[0] = timedelta(minutes=4)  # tolerated
    report = panel.core.authorities.check(profile.id)
    assert not any("clock" in str(item.title) for item in report.items)
    assert not any("clock" in text for text in _warnings(panel.core.certificates.hints(certificate_id)))
    offset[0] = -timedelta(days=400)
    report = panel.core.authorities.check(profile.id)
    assert any("400 days ahead" in str(item.detail) and not item.ok for item in report.items)
    panel.environment.skip(-timedelta(days=300))  # our clock was set: what was seen before says nothing any more
    assert not any("clock" in text for text in _warnings(panel.core.authorities.hints(profile.id)))
