"""A CA in trouble: whatever it answers, at whichever point, the certificate says so in words and gets there later."""

import json
from datetime import timedelta

import pytest

from certcore import Status
from certcore.model.events import EventKind
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.network import Network
from support.acme_accounts import path_of
from support.inside import inside

pytestmark = pytest.mark.pebble

#: Pebble's paths, in the order in which an issuance comes along.
PLACES = [
    "/dir",
    "/nonce-plz",
    "/sign-me-up",
    "/order-plz",
    "/authZ/",
    "/chalZ/",
    "/my-order/",
    "/finalize-order/",
    "/certZ/",
]
#: "lost": the CA has acted, but its answer never arrives.
FAULTS = ["500", "html", "empty", "not_json", "redirect", "reset", "lost"]


@pytest.mark.parametrize("place", PLACES)
def test_every_fault_at_every_point_is_survived(panel, trouble, place):
    """After seven kinds of fault in a row at one point, each reported in words, the leaf is issued."""
    plan, proxy = trouble
    certificate_id = panel.request(panel.profile(**proxy), "shop.test")
    panel.set_cnames(certificate_id)
    # A directory may be behind a few redirects; only a loop is a fault there.
    planned = [fault for fault in FAULTS for _ in range(4 if (place, fault) == ("/dir", "redirect") else 1)]
    plan.faults = [(place, fault) for fault in planned]
    told = {}

    def active(certificate):
        if certificate.problem is not None and plan.happened:
            told[plan.happened[-1][1]] = certificate.problem
        assert certificate.status in (Status.PENDING, Status.PROCESSING, Status.ACTIVE)
        return certificate.status is Status.ACTIVE

    panel.drive(certificate_id, active)
    # A nonce request that fails oddly may still have brought a nonce, and the order says whether a challenge was
    # answered; everything else has to be told.
    untold = {"/nonce-plz": set(FAULTS), "/chalZ/": {"lost"}}.get(place, set())
    assert set(told) >= {fault for _, fault in plan.happened} - untold
    assert place == "/nonce-plz" or len(plan.happened) == len(planned)
    for problem in told.values():
        assert "127.0.0.1" in str(problem)
        assert "Traceback" not in str(problem)
        assert "Exception" not in str(problem)
    assert panel.txt_values() == []
    assert panel.core.certificates.get(certificate_id).problem is None
    view = panel.core.certificates.view(certificate_id)
    assert any(event.kind is EventKind.ATTEMPT_FAILED and event.problem for event in view.events) == bool(told)


def test_a_ca_that_is_down(panel, trouble):
    """While nothing listens the certificate waits with a clear word, backs off, and goes on when the CA is back."""
    _, proxy = trouble
    profile = panel.profile("http://127.0.0.1:9/dir")
    certificate_id = panel.request(profile, "shop.test")
    panel.set_cnames(certificate_id)
    waits = []
    for _ in range(6):
        done = panel.core.reconcile(certificate_id)
        waits.append(done.look_again - panel.environment.now())
        panel.environment.skip(waits[-1])
    down = panel.core.certificates.get(certificate_id)
    assert down.status is Status.PENDING
    assert "refused the connection" in str(down.problem)
    assert waits[-1] > waits[1] * 2
    at_last = {"directory_url": proxy["directory_url"], "trusted_roots": proxy["roots_pem"], "terms_agreed": True}
    panel.core.authorities.edit(profile.id, settings=at_last)
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)


def test_a_certificate_for_another_key_is_never_installed(panel, trouble):
    """A leaf that does not fit the CSR is refused and reported; the issuance is repeated and succeeds."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    first = panel.request(profile, "other.shop.test")
    panel.set_cnames(first)
    panel.until_active(first)
    plan.swap_certificate = panel.core.certificates.export(first, reason="test").fullchain_pem.encode()
    certificate_id = panel.request(profile, "shop.test")
    panel.set_cnames(certificate_id)
    refused = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert refused.active_issuance_id is None
    assert refused.status is Status.PENDING
    assert "does not match the request" in str(refused.problem)
    assert panel.issuance(certificate_id).leaf_pem is None
    assert panel.txt_values() == []
    panel.until_active(certificate_id)
    assert panel.core.certificates.view(certificate_id).leaf.names == ("shop.test",)


# -- a table of stranger troubles: what the CA does, when, and with which words and how the certificate goes on -----


def _stage(panel, certificate_id):
    return (panel.issuance(certificate_id).module_state or {}).get("stage")


def _at(stage):
    """Reconcile until the attempt has reached a stage."""

    def reached(panel, one):
        panel.drive(one, lambda _: _stage(panel, one) == stage)

    return reached


def _begin(panel, one):
    """Before anything was asked of the CA."""


def _loses_everything(panel, plan, start_pebble, one):
    """The CA starts anew with an empty database."""
    plan.use(start_pebble(nonce_reject=0, authz_reuse=0))


def _loses_the_order(panel, plan, start_pebble, certificate_id):
    path = path_of(panel.issuance(certificate_id).module_state["order"])
    plan.has = lambda _, asked: asked != path


def _revokes_the_authorization(panel, plan, start_pebble, certificate_id):
    """What the CA does by itself in real life; here the account does it behind the back of the attempt."""
    issuance = panel.issuance(certificate_id)
    _, context = inside(panel.core).contexts.context(panel.core.certificates.view(certificate_id).authority)
    client = Accounts(network=Network()).client(context)
    for url in issuance.module_state["authorizations"]:
        client.deactivate_authorization(url)


def _takes_minutes(panel, plan, start_pebble, one):
    """The order stays processing for a dozen polls, with a Retry-After of a minute."""
    left = [12]

    def rewrite(path, status, body, headers):
        if path.startswith(("/my-order/", "/finalize-order/")) and b'"valid"' in body and left[0]:
            order = json.loads(body)
            if order["status"] == "valid":
                left[0] -= 1
                order["status"] = "processing"
                order.pop("certificate", None)
                return status, json.dumps(order).encode(), {**headers, "retry-after": "60"}
        return status, body, headers

    plan.rewrite = rewrite


def _moves(panel, plan, start_pebble, one):
    """All URLs of the directory change, that of the account, too; the old ones are gone."""

    def rewrite(path, status, body, headers):
        if path == "/dir":
            host = json.loads(body)["newNonce"].split("/")[2]
            body = body.replace(host.encode(), f"127.0.0.1:{plan.other_port}".encode())
        return status, body, headers

    plan.rewrite = rewrite
    plan.has = lambda port, path: path == "/dir" or port == plan.other_port


def _gives_no_nonces(panel, plan, start_pebble, one):
    """Three replies to newNonce are without a nonce, and no other reply has one."""
    left = [3]

    def rewrite(path, status, body, headers):
        if left[0]:
            headers = {name: value for name, value in headers.items() if name != "replay-nonce"}
            left[0] -= path == "/nonce-plz"
        return status, body, headers

    plan.rewrite = rewrite


def _swaps_the_leaf(panel, plan, start_pebble, one):
    profile = panel.core.authorities.get("ca")
    other = panel.request(profile, "other.shop.test")
    panel.set_cnames(other)
    panel.until_active(other)
    plan.swap_certificate = panel.core.certificates.export(other, reason="test").fullchain_pem.encode()


TROUBLES = {
    # what the CA does: (when, how, the words that are told or None for nothing to tell)
    "loses the account before the order": (_begin, _loses_everything, "knows no account"),
    "loses the account after the order": (_at("answered"), _loses_everything, "does not know the requested object"),
    "loses the order": (_at("answered"), _loses_the_order, "does not know the requested object"),
    "revokes the authorization before the answer": (_at("ordered"), _revokes_the_authorization, "is deactivated"),
    "revokes the authorization after the answer": (_at("answered"), _revokes_the_authorization, "shop.test"),
    "takes minutes to issue": (_begin, _takes_minutes, None),
    "changes its URLs": (_begin, _moves, None),
    "changes its URLs in the middle": (_at("answered"), _moves, None),
    "gives no nonces": (_begin, _gives_no_nonces, "Replay-Nonce"),
    "issues for another key": (_at("answered"), _swaps_the_leaf, "does not match the request"),
}


@pytest.mark.parametrize("trouble_name", TROUBLES)
@pytest.mark.parametrize("restart", [False, True], ids=["same process", "new process"])
def test_strange_troubles_end_in_the_right_state(panel, trouble, start_pebble, trouble_name, restart):
    """Whatever the CA does, the certificate becomes active, says in words what happened, and leaves nothing outside."""
    plan, proxy = trouble
    when, what, words = TROUBLES[trouble_name]
    panel.profile(**proxy)
    panel.core.authorities.check(panel.core.authorities.get("ca").id)  # there is an account, and a client in memory
    certificate_id = panel.request(panel.core.authorities.get("ca"), "shop.test")
    panel.set_cnames(certificate_id)
    when(panel, certificate_id)
    what(panel, plan, start_pebble, certificate_id)
    if restart:
        panel.restart()
    told = []

    def active(certificate):
        if certificate.problem is not None:
            told.append(str(certificate.problem))
        assert certificate.status in (Status.PENDING, Status.PROCESSING, Status.ACTIVE)
        return certificate.status is Status.ACTIVE

    begun = panel.environment.now()
    panel.drive(certificate_id, active)
    assert panel.environment.now() - begun < timedelta(hours=2)
    if words is None:
        assert told == [] or trouble_name.startswith("changes its URLs")
    else:
        assert any(words in text for text in told), told
    assert not [text for text in told if "Traceback" in text or "Exception" in text]
    assert panel.txt_values() == []
    assert panel.core.certificates.get(certificate_id).problem is None
    names = panel.core.certificates.view(certificate_id).leaf.names
    assert names == ("shop.test",)
    assert not [
        document for document in panel.documents("budget/") if document.key.endswith("flight") and document.value
    ]
