"""ACME accounts over their whole life: opened, found, changed, rolled over, closed, taken along."""

import contextlib
import http.server
import json
import threading
from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import CAError, CertCoreError, InvalidInputError, StorageError
from certcore.model.hints import Fact, Facts, Notice
from certcore.testing.pebble import Pebble
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.accounts.records import records_of
from certcore_puq_acme.network import Network
from certcore_puq_acme.protocol import jws
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.http import Http
from support.acme_accounts import (
    EAB_KEY,
    account_at_the_ca,
    context_of,
    record_of,
    run_action,
)
from support.ca_proxy import serving
from support.inside import inside

pytestmark = pytest.mark.pebble
MOST = 40


def _shown(panel, profile):
    """The right column of the profile, as text."""
    lines = []
    for hint in panel.core.authorities.hints(profile.id):
        if isinstance(hint, Notice):
            lines.append(str(hint.text))
        if isinstance(hint, Facts):
            lines += [f"{row.label}: {row.value}" for row in hint.rows if isinstance(row, Fact)]
    return "\n".join(lines)


def test_one_account_for_the_profile_and_one_for_each_other_email(panel, start_pebble):
    """Certificates share the profile's account; one that asks for another e-mail gets an account of its own."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="ca@panel.test", own_accounts=True)
    panel.issued(profile, "a.shop.test")
    panel.issued(profile, "b.shop.test", module_data={"account_email": "CA@panel.test".lower()})
    panel.issued(profile, "c.shop.test", module_data={"account_email": "anna@shop.test"})
    panel.issued(profile, "d.shop.test", module_data={"account_email": "anna@shop.test"})
    records = records_of(context_of(panel, profile).documents, profile.id)
    assert sorted(record.contact for record in records) == ["anna@shop.test", "ca@panel.test"]
    assert len({record.url for record in records}) == 2
    assert "anna@shop.test" in _shown(panel, profile)


def test_terms_can_be_agreed_to_by_a_certificate_of_its_own(panel, start_pebble):
    """Where the profile has not agreed, a certificate that has gets an account only when the agreement is for it."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, terms_agreed=False, own_accounts=True)
    own = {"account_email": "anna@shop.test", "terms_agreed": True}
    panel.issued(profile, "a.shop.test", module_data=own)
    other = panel.request(profile, "b.shop.test")
    panel.set_cnames(other)
    failed = panel.drive(other, lambda certificate: certificate.problem is not None)
    assert "terms_agreed" in failed.problem.advice


def test_the_contact_follows_the_profile(panel, start_pebble):
    """A changed e-mail address is sent to the CA at the next use; the account stays, and its history records it."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="old@panel.test")
    panel.issued(profile, "a.shop.test")
    before = record_of(panel, profile)
    assert account_at_the_ca(panel, profile).contact == ("mailto:old@panel.test",)
    panel.core.authorities.edit(profile.id, settings={"email": "new@panel.test"})
    panel.issued(profile, "b.shop.test")
    after = record_of(panel, profile)
    assert (after.url, after.contact) == (before.url, "new@panel.test")
    assert account_at_the_ca(panel, profile).contact == ("mailto:new@panel.test",)
    assert after.history[-1]["what"] == "The contact was changed."


@pytest.mark.parametrize("kind", ["ec_p256", "ec_p384", "rsa_2048"])
def test_kinds_of_account_key(panel, start_pebble, kind):
    """Whatever kind of key the profile asks for, the account works with it."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, account_key_type=kind)
    panel.issued(profile, "a.shop.test")
    context = context_of(panel, profile)
    key = jws.load_account_key(context.documents.unseal(record_of(panel, profile).key_name))
    assert jws.AccountSigner(key).alg == {"ec_p256": "ES256", "ec_p384": "ES384", "rsa_2048": "RS256"}[kind]


def test_an_account_is_found_by_its_key_after_a_restore(panel, start_pebble):
    """A store that has the key but not the URL finds the account; terms and binding are not asked for again."""
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, eab_kid="kid-1", eab_hmac_key=EAB_KEY)
    panel.issued(profile, "a.shop.test")
    before = record_of(panel, profile)
    inside(panel.core).contexts.documents(inside(panel.core).plugins.module("puq_acme")).delete(before.document)
    panel.core.authorities.edit(profile.id, settings={"terms_agreed": False})
    panel.restart()
    panel.issued(profile, "b.shop.test")
    assert record_of(panel, profile).url == before.url


def test_another_ca_is_another_account_and_existing_certificates_stay_renewable(panel, start_pebble):
    """A profile that is set to another CA gets an account there; its certificates are renewed there, and back again."""
    first, second = start_pebble(), start_pebble()
    profile = panel.profile(first.directory_url, first.roots_pem)
    certificate_id = panel.issued(profile, "a.shop.test")
    at_first = record_of(panel, profile)
    panel.move(profile, second)
    assert record_of(panel, profile).url == ""
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    assert record_of(panel, profile).url not in ("", at_first.url)
    panel.move(profile, first)
    assert record_of(panel, profile).url == at_first.url


def test_a_profile_that_changes_in_the_middle_of_an_order(panel, start_pebble):
    """An order at the old CA is left, its values are taken back, and one is placed at the new CA."""
    first, second = start_pebble(sleep=True), start_pebble()
    profile = panel.profile(first.directory_url, first.roots_pem)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda _: bool(panel.txt_values()))
    old = panel.issuance(certificate_id).module_state["order"]
    panel.move(profile, second)
    panel.until_active(certificate_id)
    state = panel.issuance(certificate_id).module_state
    assert state["order"].split("/")[2] == second.directory_url.split("/")[2] != old.split("/")[2]
    assert panel.txt_values() == []


# -- key rollover -------------------------------------------------------------------------------------------------


def test_a_rollover(panel, start_pebble):
    """The account stays, its key is another, the old one is destroyed and refused; other processes go on at once."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, account_key_type="ec_p384")
    panel.issued(profile, "a.shop.test")
    context, before = context_of(panel, profile), record_of(panel, profile)
    old_key = context.documents.unseal(before.key_name)
    elsewhere = Accounts(network=Network())  # another process, with the client in memory
    elsewhere.client(context).account()
    assert before.url in run_action(panel, profile, "roll_over_account_key")
    after = record_of(panel, profile)
    assert (after.url, after.next_key) == (before.url, None)
    assert after.thumbprints[1:] == before.thumbprints
    assert after.thumbprints[0] not in before.thumbprints
    assert context.documents.unseal(before.key_name) is None
    assert elsewhere.client(context).account().url == before.url
    with contextlib.closing(Http(extra_roots=pebble.roots_pem)) as connections:
        stale = AcmeClient(
            pebble.directory_url, key=jws.load_account_key(old_key), http=connections, account_url=before.url
        )
        with pytest.raises(AcmeProblemError):
            stale.account()
    panel.issued(profile, "b.shop.test")
    assert "roll" in after.history[-1]["what"]
    assert after.history[-1]["actor"] == "root"


def test_a_rollover_in_the_middle_of_an_order(panel, start_pebble):
    """An order that is under way goes on with the new key, in a process that knew only the old one."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda _: (panel.issuance(certificate_id).module_state or {}).get("stage") == "ordered")
    context = context_of(panel, profile)
    module = type(inside(panel.core).plugins.module("puq_acme"))()  # another process
    module.run_action("roll_over_account_key", _which(""), context, actor="root")
    told = []
    panel.drive(certificate_id, lambda found: told.append(found.problem) or found.status is Status.ACTIVE)
    assert told == [None] * len(told)


def _which(account):
    from certcore.model.form import structure
    from certcore_puq_acme.accounts.actions import WhichAccount

    return structure(WhichAccount, {"account": account})


@pytest.mark.slow(reason="kills a process at each of many points")
@pytest.mark.timeout(800)
@pytest.mark.parametrize("crashed_kind", ["sqlite"])
def test_killed_at_every_point_of_a_rollover(panel, start_pebble, crashing, crashed_kind):
    """SIGKILL after every commit and every exchange with the CA: the account works, with the same URL, at once."""
    pebble = start_pebble(nonce_reject=0)
    for point in range(1, MOST):
        profile = panel.profile(pebble.directory_url, pebble.roots_pem, name=f"ca {point}")
        run_action(panel, profile, "open_account")
        before = record_of(panel, profile)
        ended = crashing(url=panel.url, keyring=str(panel.keyring), authority=profile.id, point=point)
        panel.restart()
        assert account_at_the_ca(panel, profile).url == before.url
        panel.issued(profile, f"p{point}.shop.test")
        assert record_of(panel, profile).url == before.url
        panel.environment.skip(timedelta(minutes=11))
        panel.restart()
        run_action(panel, profile, "roll_over_account_key")
        assert account_at_the_ca(panel, profile).url == before.url
        assert record_of(panel, profile).next_key is None
        if not ended["killed"]:
            assert ended["exit"] == 0
            break
    assert 8 < point < MOST - 1


def test_two_rollovers_at_once(panel, start_pebble):
    """The second one is refused in words while the first is under way, or waits for it; the account works."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    run_action(panel, profile, "open_account")
    before, failures = record_of(panel, profile), []

    def roll():
        try:
            run_action(panel, profile, "roll_over_account_key")
        except (CertCoreError, StorageError) as error:
            failures.append(str(error))

    threads = [threading.Thread(target=roll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert len(failures) < 4
    for text in failures:
        assert "being rolled over already" in text or "changed" in text, text
    panel.restart()
    assert account_at_the_ca(panel, profile).url == before.url
    after, documents = record_of(panel, profile), context_of(panel, profile).documents
    assert after.next_key is None
    assert len(after.thumbprints) == 1 + 4 - len(failures)  # each one that was reported as done was done
    assert documents.unseal(after.key_name) is not None
    assert documents.unseal(before.key_name) is None


# -- closing, opening, taking along -------------------------------------------------------------------------------


def test_a_closed_account_is_not_opened_again_unasked(panel, start_pebble):
    """After deactivation certificates say so, and stay; a new account is opened when somebody asks for it."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    certificate_id = panel.issued(profile, "a.shop.test")
    before = record_of(panel, profile)
    assert "deactivate_account" in {action.name for action in panel.core.authorities.actions(profile.id)}
    run_action(panel, profile, "deactivate_account")
    assert record_of(panel, profile).is_closed
    assert "deactivated" in _shown(panel, profile)
    panel.core.certificates.renew(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.ACTIVE
    assert "open_account" in failed.problem.advice
    with pytest.raises(InvalidInputError, match="open_account"):
        run_action(panel, profile, "deactivate_account")
    run_action(panel, profile, "open_account")
    after = record_of(panel, profile)
    assert after.url not in ("", before.url)
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_an_account_is_taken_along_from_another_client(panel, start_pebble, form):
    """The account is found by its key, in PEM or as a JWK; nothing is created at the CA, and it issues."""
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    pem = jws.generate_account_key(jws.AccountKeyType.RSA_2048)
    key = jws.load_account_key(pem)
    with contextlib.closing(Http(extra_roots=pebble.roots_pem)) as connections:
        other = AcmeClient(pebble.directory_url, key=key, http=connections)
        eab = jws.ExternalAccountBinding(kid="kid-1", hmac_key=EAB_KEY)
        url = other.new_account(["old@panel.test"], terms_agreed=True, eab=eab).url
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="new@panel.test")
    given = pem.decode() if form == "pem" else json.dumps(key.to_json())
    assert url in run_action(panel, profile, "import_account_key", account_key=given)
    panel.issued(profile, "a.shop.test")
    assert record_of(panel, profile).url == url
    assert account_at_the_ca(panel, profile).contact == ("mailto:new@panel.test",)
    stored = b"".join(file.read_bytes() for file in panel.folder.glob("certcore.db*"))
    assert pem.splitlines()[1] not in stored


def test_a_key_without_an_account_is_not_taken_along(panel, start_pebble):
    """A key that the CA does not know, and text that is no key, are refused; nothing is stored."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    with pytest.raises(CAError, match="knows no account"):
        run_action(panel, profile, "import_account_key", account_key=jws.generate_account_key().decode())
    for wrong in ("hello", '{"kty": "RSA"}', '{"kty": "oct", "k": "AAAA"}', "-----BEGIN PRIVATE KEY-----"):
        with pytest.raises(InvalidInputError) as caught:
            run_action(panel, profile, "import_account_key", account_key=wrong)
        assert caught.value.field == "account_key"
    assert record_of(panel, profile).url == ""


# -- external account binding by e-mail ---------------------------------------------------------------------------


class _EabServer(http.server.BaseHTTPRequestHandler):
    """Gives EAB credentials for an e-mail address, as ZeroSSL's API does."""

    def do_POST(self):
        """One question."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(asked)
        known = "owner%40panel.test" in asked
        body = (
            {"success": True, "eab_kid": "kid-1", "eab_hmac_key": EAB_KEY}
            if known
            else {"success": False, "error": {"code": 2900, "type": "missing_email"}}
        )
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def eab_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _EabServer)
    server.asked = []
    with serving(server):
        yield server


def test_eab_credentials_by_email(panel, start_pebble, eab_server):
    """For an e-mail address the CA gives credentials, once; they are sealed, and the account is bound with them."""
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    url = f"http://127.0.0.1:{eab_server.server_port}/acme/eab-credentials-email"
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="owner@panel.test", eab_url=url)
    panel.issued(profile, "a.shop.test")
    panel.restart()
    panel.issued(profile, "b.shop.test")
    assert len(eab_server.asked) == 1
    stored = b"".join(file.read_bytes() for file in panel.folder.glob("certcore.db*"))
    assert EAB_KEY.encode() not in stored


def test_no_eab_credentials_for_this_email(panel, start_pebble, eab_server):
    """The error shows the CA's refusal, the address, and what to do."""
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    url = f"http://127.0.0.1:{eab_server.server_port}/acme/eab-credentials-email"
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="nobody@panel.test", eab_url=url)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.ERROR
    assert "nobody@panel.test" in str(failed.problem)
    assert "missing_email" in str(failed.problem)
    assert "on the CA's site" in failed.problem.advice


def test_terms_that_change_are_asked_for_again(panel, start_acme2certifier):
    """The agreed URL and date are kept; other terms are shown, renewals go on, and the agreement is recorded anew."""
    first = start_acme2certifier(terms="https://ca.test/terms/1")
    profile = panel.profile(first.directory_url, first.roots_pem)
    run_action(panel, profile, "open_account")
    record = record_of(panel, profile)
    assert (record.terms_of_service, record.terms_agreed_at is not None) == ("https://ca.test/terms/1", True)
    assert "agree_to_terms" not in {action.name for action in panel.core.authorities.actions(profile.id)}
    context = context_of(panel, profile)
    known = context.documents.get(f"directory/{profile.id}")
    context.documents.put(known.key, {**known.value, "terms_of_service": "https://ca.test/terms/2"})
    assert "changed its terms of service" in _shown(panel, profile)
    assert "agree_to_terms" in {action.name for action in panel.core.authorities.actions(profile.id)}
    run_action(panel, profile, "agree_to_terms")
    assert "changed its terms" not in _shown(panel, profile)


def test_the_profiles_page_tells_of_the_account(panel):
    """Without an account it says so; with one it shows URL, contact, key and how much of the limits is used."""
    with Pebble.start(dns_server=panel.dns_address) as pebble:
        limits = ["orders 20 per 2d"]
        profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="ca@panel.test", limits=limits)
        assert "no account at the CA yet" in _shown(panel, profile)
        panel.issued(profile, "a.shop.test")
        record, shown = record_of(panel, profile), _shown(panel, profile)
        for expected in (record.url, record.thumbprints[0], "ca@panel.test", "1 placed", "0 of 20"):
            assert expected in shown
