"""A CA whose replicas lag, that asks for a day of patience, or that never gets on: few requests, plain words."""

import json
from datetime import timedelta

import pytest
from attrs import define, field

from certcore import Status
from certcore.model.events import EventKind
from support.hint_texts import notices

pytestmark = pytest.mark.pebble
HOUR = timedelta(hours=1)
NAMED = ["/my-order/", "/authZ/", "/chalZ/", "/finalize-order/", "/certZ/"]
REFUSALS = {
    "404 malformed": (404, "malformed"),
    "403 unauthorized": (403, "unauthorized"),
    "410": (410, ""),
    "405": (405, ""),
    "400 accountDoesNotExist": (400, "accountDoesNotExist"),
}


@define(eq=False)
class Lagging:
    """Refuses a page some times; writes down when it was asked for anything, by the panel's clock."""

    panel: object
    plan: object
    place: str
    status: int = 404
    kind: str = "malformed"
    left: int = 0
    asked: list = field(factory=list)

    def __call__(self, path, status, body, headers):
        self.asked.append(self.panel.environment.now())
        if path.startswith(self.place) and self.left:
            self.left -= 1
            kind = f"urn:ietf:params:acme:error:{self.kind}" if self.kind else "about:blank"
            return self.status, json.dumps({"type": kind, "detail": "No such resource here yet"}).encode(), headers
        return status, body, headers

    @property
    def most_in_an_hour(self):
        return max(sum(moment <= other < moment + HOUR for other in self.asked) for moment in self.asked)


def _orders(plan):
    return sum(path == "/order-plz" for path, _ in plan.asked)


def _failures(panel, certificate_id):
    return [
        event for event in panel.core.certificates.view(certificate_id).events if event.kind is EventKind.ATTEMPT_FAILED
    ]


@pytest.mark.parametrize(
    ("place", "refusal"),
    [*((place, "404 malformed") for place in NAMED), *(("/my-order/", refusal) for refusal in REFUSALS)],
)
def test_what_the_ca_has_just_named_is_asked_for_again(panel, trouble, place, refusal):
    """Three refusals in a row of any resource of the order cost seconds; no order is lost, no failure is shown."""
    plan, proxy = trouble
    lagging = plan.rewrite = Lagging(panel, plan, place, *REFUSALS[refusal], left=3)
    begun = panel.environment.now()
    certificate_id = panel.issued(panel.profile(**proxy), "shop.test")
    assert lagging.left < 3
    assert _orders(plan) == 1
    assert _failures(panel, certificate_id) == []
    assert panel.issuance(certificate_id).finished_at - begun < timedelta(minutes=2)


def test_an_order_that_stays_lost_is_made_again_and_told(panel, trouble):
    """After a minute of refusals the order is lost: a failure with the CA's words, since when, and how often."""
    plan, proxy = trouble
    plan.rewrite = Lagging(panel, plan, "/my-order/", left=6)
    begun = panel.environment.now()
    certificate_id = panel.issued(panel.profile(**proxy), "shop.test")
    (failure,) = _failures(panel, certificate_id)
    assert "No such resource here yet" in str(failure.problem)
    assert "(6 times)" in failure.problem.title
    assert failure.at - begun >= timedelta(minutes=1)
    assert _orders(plan) == 2


def _status(word, **more):
    def make(order, headers):
        left = {name: value for name, value in order.items() if name != "certificate"}
        return 200, json.dumps({**left, "status": word}).encode(), {**headers, **more}

    return make


def _refusal(status, kind, **more):
    text = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": "the CA's own words"}).encode()
    return lambda _, headers: (status, text, {**headers, **more})


FOR_EVER = {
    # what the CA does: (what it answers where, words that the page or a failure has in the end)
    "processing": ({"/my-order/": _status("processing")}, "'processing'"),
    "processing, again at once": ({"/my-order/": _status("processing", **{"retry-after": "0"})}, "'processing'"),
    "processing, again in a day": ({"/my-order/": _status("processing", **{"retry-after": "86400"})}, "'processing'"),
    "pending": ({"/my-order/": _status("pending")}, "'pending'"),
    "an unknown status": ({"/my-order/": _status("hibernating")}, "'hibernating'"),
    "ready after each finalize": ({"/my-order/": _status("ready"), "/finalize-order/": _status("ready")}, "'ready'"),
    "orderNotReady": (
        {"/my-order/": _status("ready"), "/finalize-order/": _refusal(403, "orderNotReady")},
        "the CA's own words",
    ),
    "badNonce": ({"/my-order/": _refusal(400, "badNonce")}, "the CA's own words"),
    "an order that is never found": ({"/my-order/": _refusal(404, "malformed")}, "the CA's own words"),
    "a leaf that is never found": ({"/certZ/": lambda _, headers: (404, b"", headers)}, "HTTP status 404"),
    "5xx": ({"/my-order/": _refusal(503, "serverInternal", **{"retry-after": "1"})}, "the CA's own words"),
    "429 for days": ({"/order-plz": _refusal(429, "rateLimited", **{"retry-after": "400000"})}, "the CA's own words"),
}


@pytest.mark.parametrize("name", FOR_EVER)
def test_whatever_a_ca_answers_for_ever_is_bounded_and_told(panel, trouble, name):
    """At most 60 requests in any hour of six, at most three orders, and the page or a failure says what the CA says."""
    plan, proxy = trouble
    answers, words = FOR_EVER[name]
    counting = Lagging(panel, plan, "none")

    def rewrite(path, status, body, headers):
        counting(path, status, body, headers)
        make = next((make for place, make in answers.items() if path.startswith(place)), None)
        if make is not None and status < 300:
            return make(json.loads(body) if body.startswith(b"{") else {}, headers)
        return status, body, headers

    plan.rewrite = rewrite
    certificate_id = panel.request(panel.profile(**proxy), "shop.test")
    panel.set_cnames(certificate_id)
    end = panel.environment.now() + 6 * HOUR
    panel.drive(certificate_id, lambda _: panel.environment.now() > end)
    assert panel.core.certificates.get(certificate_id).status in (Status.PENDING, Status.PROCESSING)
    assert counting.most_in_an_hour <= 60
    assert _orders(plan) <= 6
    told = notices(panel, certificate_id) + " ".join(str(event.problem) for event in _failures(panel, certificate_id))
    assert words.strip("'") in told
    assert "since" in told.lower() or "again" in told or "retried" in told


@pytest.mark.parametrize(
    "asked", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT", "9" * 300, "-5", "Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_an_issued_leaf_is_fetched_within_minutes_whatever_retry_after_says(panel, trouble, asked):
    """The order is processing for two looks: neither a day, a far date, a huge number nor garbage delays it by more."""
    plan, proxy = trouble
    left = [2]

    def rewrite(path, status, body, headers):
        if path.startswith(("/my-order/", "/finalize-order/")) and b'"valid"' in body and left[0]:
            order = json.loads(body)
            if order["status"] == "valid":
                left[0] -= 1
                return _status("processing", **{"retry-after": asked})(order, headers)
        return status, body, headers

    plan.rewrite = rewrite
    begun = panel.environment.now()
    certificate_id = panel.issued(panel.profile(**proxy), "shop.test")
    assert panel.issuance(certificate_id).finished_at - begun < timedelta(minutes=25)
    assert _orders(plan) == 1


def test_a_proof_that_was_not_ordered_is_told_in_the_modules_words(panel, trouble):
    """A fault of the CA is reported as such, not as a bug of the plugin."""
    plan, proxy = trouble

    def rewrite(path, status, body, headers):
        if path.startswith("/authZ/"):
            return status, body.replace(b"shop.test", b"evil.test"), headers
        return status, body, headers

    plan.rewrite = rewrite
    certificate_id = panel.request(panel.profile(**proxy), "shop.test")
    panel.set_cnames(certificate_id)
    problem = panel.drive(certificate_id, lambda found: found.problem is not None).problem
    assert "asks for a validation of evil.test, which was not ordered" in problem.title
    assert problem.advice.startswith("Tell the CA.")
    assert panel.txt_values() == []
