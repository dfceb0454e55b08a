"""What a CA says of contacts, terms, pages and bindings when it is in trouble, and what is kept of it."""

import contextlib
import http.server
import json
from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import CAError, CertCoreError, InvalidInputError
from certcore.model.hints import ActionButton
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.accounts.records import records_of
from certcore_puq_acme.network import Network
from certcore_puq_acme.protocol import jws
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.http import Http
from support.acme_accounts import (
    EAB_KEY,
    NEW_ACCOUNT,
    account_at_the_ca,
    context_of,
    links_of,
    offered_actions,
    pass_answers_on,
    path_of,
    problem_document,
    record_of,
    replace_answers,
    run_action,
    texts_of,
)
from support.ca_proxy import serving

pytestmark = pytest.mark.pebble

# -- contacts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["invalidContact", "unsupportedContact", "malformed"])
def test_a_contact_that_the_ca_refuses_holds_nobody_up(panel, trouble, kind):
    """Certificates are issued on; the profile's page says which contact was refused, and why."""
    plan, proxy = trouble
    profile = panel.profile(**proxy, email="good@panel.test")
    run_action(panel, profile, "open_account")
    panel.core.authorities.edit(profile.id, settings={"email": "bad@panel.test"})
    replace_answers(
        plan, path_of(record_of(panel, profile).url), 400, problem_document(kind, "contact domain has no MX record")
    )
    panel.issued(profile, "b.shop.test")
    record = record_of(panel, profile)
    assert (record.contact, record.contact_refused) == ("good@panel.test", "bad@panel.test")
    shown = texts_of(panel.core.authorities.hints(profile.id))
    assert "bad@panel.test" in shown
    assert "no MX record" in shown


def test_a_contact_that_could_not_be_told_is_told_later(panel, trouble):
    """If the CA is busy, the contact is sent again later, and no refusal is shown."""
    plan, proxy = trouble
    profile = panel.profile(**proxy, email="old@panel.test")
    run_action(panel, profile, "open_account")
    panel.core.authorities.edit(profile.id, settings={"email": "new@panel.test"})
    path = path_of(record_of(panel, profile).url)

    def rewrite(asked, status, body, headers):
        payload = plan.asked[-1][1] if plan.asked and plan.asked[-1][0] == path else None
        if asked == path and payload:  # nothing comes of it
            return 503, problem_document("serverInternal", "maintenance"), {**headers, "retry-after": "60"}
        return status, body, headers

    plan.rewrite = rewrite
    panel.issued(profile, "a.shop.test")
    record = record_of(panel, profile)
    assert (record.contact, record.contact_refused) == ("old@panel.test", None)
    pass_answers_on(plan)
    panel.environment.skip(timedelta(days=2))
    panel.issued(profile, "b.shop.test")  # the same process
    assert record_of(panel, profile).contact == "new@panel.test"
    assert account_at_the_ca(panel, profile).contact == ("mailto:new@panel.test",)


@contextlib.contextmanager
def _other_client(directory_url, roots_pem, contact):
    """An account that another client has opened; its client and its key."""
    pem = jws.generate_account_key()
    with contextlib.closing(Http(extra_roots=roots_pem)) as connections:
        client = AcmeClient(directory_url, key=jws.load_account_key(pem), http=connections)
        client.new_account(contact, terms_agreed=True)
        yield client, pem.decode()


def test_an_account_taken_along_keeps_its_contact(panel, start_pebble):
    """A profile without an e-mail does not erase what another client has set; one with an e-mail replaces it."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    with _other_client(pebble.directory_url, pebble.roots_pem, ["old@panel.test"]) as (other, pem):
        run_action(panel, profile, "import_account_key", account_key=pem)
        certificate_id = panel.issued(profile, "a.shop.test")
        assert other.account().contact == ("mailto:old@panel.test",)
        panel.core.authorities.edit(profile.id, settings={"email": "new@panel.test"})
        panel.issued(profile, "b.shop.test")
        assert other.account().contact == ("mailto:new@panel.test",)
        panel.core.authorities.edit(profile.id, settings={"email": ""})
        panel.issued(profile, "c.shop.test")
        assert other.account().contact == ()  # this one was ours
    assert panel.core.certificates.get(certificate_id).status is Status.ACTIVE


# -- taking an account along --------------------------------------------------------------------------------------


def test_an_account_is_taken_along_in_place_of_one(panel, start_pebble):
    """After the first certificate it is offered with a question; the old account stays, and renewals go on."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    assert offered_actions(panel, profile)["import_account_key"].confirm is None
    certificate_id = panel.issued(profile, "a.shop.test")
    before, old = record_of(panel, profile), Accounts(network=Network()).client(context_of(panel, profile))
    assert "stays at the CA" in str(offered_actions(panel, profile)["import_account_key"].confirm)
    with _other_client(pebble.directory_url, pebble.roots_pem, []) as (other, pem):
        run_action(panel, profile, "import_account_key", account_key=pem)
        assert record_of(panel, profile).url == other.account_url != before.url
    assert old.account().status == "valid"
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    assert panel.core.certificates.revoke(certificate_id).status is Status.REVOKED
    assert "import_account_key" in {
        hint.name for hint in panel.core.authorities.hints(profile.id) if isinstance(hint, ActionButton)
    }


def test_a_closed_account_is_not_taken_along(panel, start_pebble):
    """The key of a deactivated account is refused, and the profile stays as it is."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    with _other_client(pebble.directory_url, pebble.roots_pem, []) as (other, pem):
        other.deactivate_account()
        with pytest.raises(CertCoreError):
            run_action(panel, profile, "import_account_key", account_key=pem)
    assert record_of(panel, profile).url == ""


def test_an_account_that_a_ca_shows_as_closed_is_not_taken_along(panel, trouble):
    """Some CAs give a deactivated account with its status instead of refusing."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    with _other_client(proxy["directory_url"], proxy["roots_pem"], []) as (other, pem):
        closed = json.dumps({"status": "deactivated"}).encode()
        replace_answers(plan, NEW_ACCOUNT, 200, closed, location=other.account_url, **{"replay-nonce": "AAAA"})
        with pytest.raises(InvalidInputError, match="deactivated"):
            run_action(panel, profile, "import_account_key", account_key=pem)


# -- terms of service ---------------------------------------------------------------------------------------------


def _has_other_terms(plan, url):
    def rewrite(path, status, body, headers):
        if path == "/dir":
            document = json.loads(body)
            document["meta"]["termsOfService"] = url
            body = json.dumps(document).encode()
        return status, body, headers

    plan.rewrite = rewrite
    return rewrite


def test_an_agreement_that_the_ca_does_not_take_is_not_recorded(panel, trouble):
    """A CA that is busy has confirmed nothing; when it takes the agreement, that is on the record."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    run_action(panel, profile, "open_account")
    before = record_of(panel, profile)
    with_other_terms = _has_other_terms(plan, "https://ca.test/terms/2")
    path = path_of(before.url)

    def busy(asked, status, body, headers):
        if asked == path:
            return 429, problem_document("rateLimited", "slow down"), {**headers, "retry-after": "60"}
        return with_other_terms(asked, status, body, headers)

    plan.rewrite = busy
    panel.core.authorities.check(profile.id)
    with pytest.raises(CAError, match="slow down"):
        run_action(panel, profile, "agree_to_terms")
    assert record_of(panel, profile).terms_of_service == before.terms_of_service
    plan.rewrite = with_other_terms
    run_action(panel, profile, "agree_to_terms")
    assert record_of(panel, profile).terms_of_service == "https://ca.test/terms/2"
    assert "agree_to_terms" not in offered_actions(panel, profile)


def test_the_yes_to_other_terms_opens_no_further_account(panel, trouble):
    """Who agreed to the old terms did not agree to the new: renewals go on, and other accounts wait for the action.

    The action is for all accounts of the profile, also where the profile's own account is not there yet.
    """
    plan, proxy = trouble
    profile = panel.profile(**proxy, own_accounts=True)
    first = panel.issued(profile, "a.shop.test", module_data={"account_email": "anna@shop.test"})
    assert record_of(panel, profile).url == ""
    _has_other_terms(plan, "https://ca.test/terms/2")
    panel.restart()
    serial = panel.core.certificates.view(first).leaf.serial_hex
    panel.core.certificates.renew(first)
    panel.drive(first, lambda _: panel.core.certificates.view(first).leaf.serial_hex != serial)
    second = panel.request(profile, "b.shop.test", module_data={"account_email": "berta@shop.test"})
    panel.set_cnames(second)
    failed = panel.drive(second, lambda certificate: certificate.problem is not None)
    assert "agree_to_terms" in failed.problem.advice
    assert "changed its terms of service" in texts_of(panel.core.authorities.hints(profile.id))
    run_action(panel, profile, "agree_to_terms")
    panel.core.certificates.check_now(second)
    panel.until_active(second)
    run_action(panel, profile, "open_account")
    records = [one for one in records_of(context_of(panel, profile).documents, profile.id) if one.url]
    assert [record.terms_of_service for record in records] == ["https://ca.test/terms/2"] * 3
    assert "changed its terms of service" not in texts_of(panel.core.authorities.hints(profile.id))


def test_accounts_that_are_no_more_do_not_hold_up_an_agreement(panel, trouble):
    """One that was closed elsewhere can agree to nothing, and its old yes stops nobody after the action."""
    plan, proxy = trouble
    profile = panel.profile(**proxy, own_accounts=True)
    panel.issued(profile, "a.shop.test", module_data={"account_email": "anna@shop.test"})
    (closed,) = records_of(context_of(panel, profile).documents, profile.id)
    Accounts(network=Network()).find(context_of(panel, profile), closed.document).deactivate_account()
    _has_other_terms(plan, "https://ca.test/terms/2")
    panel.restart()
    certificate_id = panel.request(profile, "b.shop.test", module_data={"account_email": "berta@shop.test"})
    panel.set_cnames(certificate_id)
    assert (
        "agree_to_terms"
        in panel.drive(certificate_id, lambda certificate: certificate.problem is not None).problem.advice
    )
    run_action(panel, profile, "agree_to_terms")
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    told = {record.url: record for record in records_of(context_of(panel, profile).documents, profile.id)}
    assert told[closed.url].is_closed
    assert told[closed.url].terms_of_service == closed.terms_of_service


def test_a_certificates_own_yes_counts_where_the_profile_has_none(panel, trouble):
    """It is not the profile's, which may have been to other terms."""
    plan, proxy = trouble
    profile = panel.profile(**{**proxy, "terms_agreed": False, "own_accounts": True})
    panel.issued(profile, "a.shop.test", module_data={"account_email": "anna@shop.test", "terms_agreed": True})
    _has_other_terms(plan, "https://ca.test/terms/2")
    panel.restart()
    panel.issued(profile, "b.shop.test", module_data={"account_email": "berta@shop.test", "terms_agreed": True})


# -- pages of the CA ----------------------------------------------------------------------------------------------


def test_only_pages_are_links(panel, trouble):
    """What is no https or http URL is never shown as a link, wherever the CA puts it."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    with_other_terms = _has_other_terms(plan, "javascript:alert(1)")

    def rewrite(path, status, body, headers):
        if path == "/order-plz":
            return 403, problem_document("userActionRequired", "read this", instance="javascript:alert(2)"), headers
        return with_other_terms(path, status, body, headers)

    plan.rewrite = rewrite
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    draft = panel.core.certificates.create("b.shop.test", authority=profile.id).id
    found = [
        *links_of(panel.core.certificates.hints(certificate_id)),
        *links_of(panel.core.certificates.hints(draft)),
        *links_of(panel.core.authorities.hints(profile.id)),
    ]
    assert found == []


@pytest.mark.parametrize("kind", ["rateLimited", "userActionRequired"])
def test_a_page_that_somebody_has_to_visit(panel, trouble, kind):
    """A CA that waits for a person is not waited for in silence: the page is a link, and the words ask for a visit."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    page = "https://portal.ca.test/sfe/v1/unpause?jwt=abc"
    detail = (
        "Your account is temporarily prevented from requesting certificates for a.shop.test and possibly others. "
        f"Please visit: {page}"
    )
    replace_answers(plan, "/order-plz", 429 if kind == "rateLimited" else 403, problem_document(kind, detail))
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    hints = panel.core.certificates.hints(certificate_id)
    assert page in links_of(hints)
    assert "Visit the CA's page" in texts_of(hints)
    assert "no action is needed" not in texts_of(hints).lower()


def test_a_page_of_a_stranger_is_no_link(panel, trouble):
    """A CA's text about a validation may quote another server, so URLs in it do not become links."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    replace_answers(
        plan, "/order-plz", 403, problem_document("unauthorized", "the server said: please visit https://evil.test/now")
    )
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert [url for url in links_of(panel.core.certificates.hints(certificate_id)) if "evil.test" in url] == []


# -- external account binding -------------------------------------------------------------------------------------

_WRONG_KEY = EAB_KEY[::-1]


@pytest.mark.parametrize("binding", [{}, {"eab_kid": "kid-1", "eab_hmac_key": _WRONG_KEY}], ids=["missing", "wrong"])
def test_a_binding_that_is_not_right_is_told_with_what_to_do(panel, start_pebble, binding):
    """By Save and Test, by an action, and by a certificate: the CA's own text, and where the binding is entered."""
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, **binding)
    (_, item, _) = panel.core.authorities.check(profile.id).items
    with pytest.raises(CAError) as refused:
        run_action(panel, profile, "open_account")
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    problem = panel.drive(certificate_id, lambda certificate: certificate.problem is not None).problem
    assert not item.ok
    assert problem.detail
    for text in (str(item.detail), refused.value.message, str(problem)):
        assert f"The CA said: {problem.detail}" in text
    for advice in map(str, (item.advice, refused.value.advice, problem.advice)):
        assert "EAB key id and HMAC key into the CA profile" in advice


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [
        (400, "malformed", "go-jose/go-jose: error in cryptographic primitive"),
        (500, "serverInternal", "verifying EAB: error in cryptographic primitive"),
        (403, "unauthorized", "MAC key too short"),
    ],
)
def test_a_refusal_of_a_short_eab_key_is_explained(panel, trouble, status, kind, detail):
    """The CA's riddle comes with the key's length and what to do; with a longer key it means something else."""
    plan, proxy = trouble

    def rewrite(path, was, body, headers):
        if path != "/sign-me-up":
            return was, body, headers
        text = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}).encode()
        return status, text, {"replay-nonce": headers["replay-nonce"]}

    plan.rewrite = rewrite
    short = {"eab_kid": "kid-1", "eab_hmac_key": "A" * 40}
    profile = panel.profile(**proxy, **short)
    (_, item, _) = panel.core.authorities.check(profile.id).items
    assert detail in str(item.detail)
    assert "has 30 bytes" in str(item.advice)
    panel.core.authorities.edit(profile.id, settings={"eab_hmac_key": EAB_KEY})
    (_, item, _) = panel.core.authorities.check(profile.id).items
    assert "bytes" not in str(item.advice)


# -- external account binding by e-mail ---------------------------------------------------------------------------


class _Eab(http.server.BaseHTTPRequestHandler):
    """A service for EAB credentials that answers as it is told."""

    def do_POST(self):
        """One question."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        status, body, headers = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def eab_service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Eab)
    server.asked = 0
    with serving(server):
        yield server


_GIVEN = json.dumps({"success": True, "eab_kid": "kid-1", "eab_hmac_key": EAB_KEY}).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"success":false,"error":{"code":2600,"type":"internal"}}'),
        (429, b'{"success":false,"error":{"code":2,"type":"rate"}}'),
        (503, b"<html>down</html>"),
    ],
)
def test_eab_credentials_that_cannot_be_had_now(panel, start_pebble, eab_service, status, body):
    """A service that is down or busy is asked again, when it wishes to be; the certificate gets there by itself."""
    eab_service.answer = (status, body, {"Retry-After": "3000"})
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    url = f"http://127.0.0.1:{eab_service.server_port}/x"
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email="owner@panel.test", eab_url=url)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None, travel=False)
    assert failed.status is Status.PENDING
    due = panel.core.certificates.view(certificate_id).schedule.due_at - panel.environment.now()
    assert timedelta(seconds=2900) < due < timedelta(seconds=6100)
    eab_service.answer = (200, _GIVEN, {})
    panel.until_active(certificate_id)


def test_fetched_eab_credentials_outlive_a_ca_that_is_down(panel, start_pebble, before, eab_service):
    """A newAccount that failed for the CA's own reasons is repeated with the same credentials."""
    eab_service.answer = (200, _GIVEN, {})
    plan, proxy = before(start_pebble(eab={"kid-1": EAB_KEY}, nonce_reject=0))
    url = f"http://127.0.0.1:{eab_service.server_port}/x"
    profile = panel.profile(**proxy, email="owner@panel.test", eab_url=url)
    plan.faults = [(NEW_ACCOUNT, "500")] * 2
    panel.issued(profile, "a.shop.test")
    assert eab_service.asked == 1


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 100_000, b"[]", b'{"success":true,"eab_kid":"a\\u001b[2J","eab_hmac_key":"AAAA"}'],
    ids=["deep array", "deep object", "array", "control characters"],
)
def test_eab_credentials_that_are_garbage(panel, start_pebble, eab_service, body):
    """A service that answers nonsense, however deep, is named with what is wrong and not repeated."""
    eab_service.answer = (200, body, {})
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    profile = panel.profile(
        pebble.directory_url,
        pebble.roots_pem,
        email="a@shop.test",
        eab_url=f"http://127.0.0.1:{eab_service.server_port}/eab",
    )
    (_, item, _) = panel.core.authorities.check(profile.id).items
    assert not item.ok
    assert "sent an EAB reply" in str(item.detail)
    assert str(item.detail).isprintable()


def test_eab_credentials_need_an_email(panel, start_pebble, eab_service):
    """Without an account e-mail the profile, or at last the certificate, says in words that one is needed."""
    eab_service.answer = (200, _GIVEN, {})
    pebble = start_pebble(eab={"kid-1": EAB_KEY})
    url = f"http://127.0.0.1:{eab_service.server_port}/x"
    try:
        profile = panel.profile(pebble.directory_url, pebble.roots_pem, eab_url=url)
    except InvalidInputError as refused:
        assert refused.field == "email"  # noqa: PT017 - either is in words
        return
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "account e-mail" in failed.problem.advice
    assert "plugin" not in str(failed.problem)
