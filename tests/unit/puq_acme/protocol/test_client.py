"""The ACME client: directory, problems, orders, accounts, certificates."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import pytest

from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key
from support.scripted_acme import KEY, LEAF, Answer, Handler, Stage, kind_of, refusal


def test_the_directory_may_redirect_three_times(stage: Stage) -> None:
    """The directory may move up to three times, and a loop ends."""
    directory = stage.server.state.routes["/dir"][0]
    for step in range(3):
        stage.says(f"/moved/{step}", Answer(status=301, headers={"Location": f"/moved/{step + 1}"}))
    stage.says("/moved/3", directory)
    url = f"{stage.server.base}/moved/0"
    assert AcmeClient(url, http=stage.http).directory().new_order.endswith("/newOrder")
    stage.says("/moved/3", Answer(status=302, headers={"Location": "/moved/0"}))
    assert kind_of(url, stage.http) == "redirect"
    stage.says("/moved/0", Answer(status=302, headers={"Location": "http://ca.test/dir"}))
    assert kind_of(url, stage.http) == "bad_url"
    stage.says("/moved/0", Answer(status=302))
    assert kind_of(url, stage.http) == "redirect"


def test_a_directory_that_is_none(stage: Stage) -> None:
    """A JSON object that is no directory says which field it lacks."""
    stage.says("/dir", Answer({"hello": "world"}))
    with pytest.raises(ProtocolError, match="sent a directory without a usable 'newNonce'"):
        stage.client.directory()


def test_the_directory_is_fetched_once(stage: Stage) -> None:
    """The directory is remembered until a refresh is asked for."""
    stage.client.directory()
    stage.client.directory()
    assert stage.asked("GET", "/dir") == 1
    stage.client.directory(refresh=True)
    assert stage.asked("GET", "/dir") == stage.client.requests_sent == 2


def test_a_problem_document_with_unknown_members(stage: Stage) -> None:
    """A problem keeps what is known of it, and members of strange types do no harm."""
    error = refusal(
        stage,
        Answer(
            {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "later\u0000\ud800", "x": [{}], "title": 5},
            429,
            {"Retry-After": "77", "Content-Type": "application/problem+json"},
        ),
    )
    assert (error.status, error.retry_after, error.acme_type) == (429, 77.0, "rateLimited")
    assert error.detail == "later\ufffd\ufffd"
    assert error.title.endswith("refuses because of too many requests.")


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"{", b"[]", b'"x"', b'{"type":7}'])
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_errors_without_a_problem_document(stage: Stage, body: bytes, status: int) -> None:
    """Any 4xx or 5xx is an AcmeProblemError with its status, whatever its body is."""
    error = refusal(stage, Answer(body, status, {"Retry-After": "5"}))
    assert (error.status, error.problem.status, error.problem_type, error.retry_after) == (
        status,
        status,
        "about:blank",
        5,
    )
    assert str(status) in str(error)
    assert stage.asked("POST") == 1


def test_a_retry_after_date_counts_from_the_reply(stage: Stage) -> None:
    """A date in Retry-After counts from the reply's Date, or from the clock that was handed in."""
    late = {"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}
    with_date = refusal(stage, Answer({}, 503, {**late, "Date": "Thu, 01 Jan 2026 00:00:30 GMT"}))
    assert with_date.retry_after == 30
    assert refusal(stage, Answer({}, 503, late)).retry_after is None
    clock = AcmeClient(
        f"{stage.server.base}/dir",
        key=KEY,
        http=stage.http,
        account_url="https://ca.test/acct/1",
        now=lambda: datetime(2026, 1, 1, 0, 0, 50, tzinfo=UTC),
    )
    with pytest.raises(AcmeProblemError) as caught:
        clock.order(f"{stage.server.base}/order/1")
    assert caught.value.retry_after == 10


def test_a_conflict_keeps_its_problem_and_its_location(stage: Stage) -> None:
    """A 409 keeps the problem document, and the URL that it points at."""
    conflict = Answer(
        {"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "done"},
        409,
        {"Location": "https://ca.test/a/2"},
    )
    stage.says("/newOrder", conflict)
    with pytest.raises(AcmeProblemError) as caught:
        stage.client.new_order(["a.test"], replaces="x.y")
    assert (caught.value.acme_type, caught.value.detail) == ("alreadyReplaced", "done")
    assert caught.value.location == "https://ca.test/a/2"


def test_an_order_end_to_end(stage: Stage) -> None:
    """URLs, waits, names and requests of an order are what RFC 8555 says."""
    base = stage.server.base
    pending = {"status": "pending", "authorizations": [f"{base}/authz/1"], "finalize": f"{base}/fin/1"}
    stage.says("/newOrder", Answer(pending, 201, {"Location": f"{base}/order/1", "Retry-After": "3"}))
    order = stage.client.new_order(["a.test", "*.a.test", "192.0.2.1", "2001:DB8::1"], profile="tls", replaces="a.b")
    assert (order.url, order.retry_after) == (f"{base}/order/1", 3.0)
    payload = json.loads(urlsafe_b64decode(json.loads(stage.server.state.seen[-1][2])["payload"] + "=="))
    assert payload == {
        "identifiers": [
            {"type": "dns", "value": "a.test"},
            {"type": "dns", "value": "*.a.test"},
            {"type": "ip", "value": "192.0.2.1"},
            {"type": "ip", "value": "2001:db8::1"},
        ],
        "profile": "tls",
        "replaces": "a.b",
    }
    stage.says(
        "/authz/1", Answer({"status": "pending", "identifier": {"value": "a.test"}}, headers={"Retry-After": "4"})
    )
    assert stage.client.authorization(order.authorizations[0]).retry_after == 4
    assert json.loads(stage.server.state.seen[-1][2])["payload"] == ""
    stage.says("/chall/1", Answer({"type": "dns-01", "status": "processing", "token": "t"}))
    answered = stage.client.answer(f"{base}/chall/1")
    assert (answered.url, answered.status) == (f"{base}/chall/1", "processing")
    assert json.loads(stage.server.state.seen[-1][2])["payload"] == "e30"
    stage.says("/fin/1", Answer({"status": "valid", "certificate": f"{base}/cert/1"}))
    done = stage.client.finalize(order, b"\x30\x00")
    assert (done.url, done.certificate) == (order.url, f"{base}/cert/1")
    assert stage.protected() == {
        "alg": "ES256",
        "url": f"{base}/fin/1",
        "nonce": stage.protected()["nonce"],
        "kid": f"{base}/acct/1",
    }


def test_a_new_order_without_a_location(stage: Stage) -> None:
    """An order that nobody could find again is refused."""
    stage.says("/newOrder", Answer({"status": "pending", "authorizations": ["a"], "finalize": "f"}, 201))
    with pytest.raises(ProtocolError) as caught:
        stage.client.new_order(["a.test"])
    assert caught.value.field == "Location"


def test_an_existing_account_is_found(stage: Stage) -> None:
    """NewAccount for a key that is known answers 200 with the account's URL, which becomes the kid."""
    stage.says("/newAccount", Answer({"status": "valid"}, 200, {"Location": "/acct/7"}))
    account = stage.client.new_account(["a@b.test", "tel:1"], terms_agreed=True)
    assert account.url == stage.client.account_url == f"{stage.server.base}/acct/7"
    assert "jwk" in stage.protected()
    assert "kid" not in stage.protected()


def test_a_certificate_with_alternates(stage: Stage) -> None:
    """The chain comes as it was sent, with the URLs of the other chains."""
    url = stage.says("/cert/1", Answer(LEAF * 2, headers={"Link": '</cert/1/1>;rel="alternate", </dir>;rel="index"'}))
    chain, others = stage.client.certificate(url)
    assert chain == LEAF * 2
    assert others == (f"{stage.server.base}/cert/1/1",)


@pytest.mark.parametrize(
    ("body", "error", "word"),
    [
        (b"", TransportError, "empty"),
        (b"<html>", TransportError, "web page"),
        (b"hello", ProtocolError, "PEM"),
        (LEAF + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ProtocolError, "PEM"),
    ],
)
def test_a_chain_that_is_none(stage: Stage, body: bytes, error: type[Exception], word: str) -> None:
    """Only certificates are taken as a certificate chain."""
    url = stage.says("/cert/1", Answer(body))
    with pytest.raises(error, match=word):
        stage.client.certificate(url)


def test_revocation_and_key_change(stage: Stage) -> None:
    """Both need no body in the answer; after a key change the new key signs."""
    stage.says("/revokeCert", Answer())
    stage.client.revoke(b"der", reason=1)
    stage.says("/keyChange", Answer())
    new = load_account_key(generate_account_key())
    old_thumbprint = stage.client.thumbprint
    stage.client.change_key(new)
    assert stage.client.thumbprint != old_thumbprint
    inner = json.loads(urlsafe_b64decode(json.loads(stage.server.state.seen[-1][2])["payload"] + "=="))
    head = json.loads(urlsafe_b64decode(inner["protected"] + "=="))
    assert head == {"alg": "ES256", "url": f"{stage.server.base}/keyChange", "jwk": new.public_key().to_json()}
    stage.says("/dir", Answer(dict.fromkeys(("newNonce", "newAccount", "newOrder"), stage.server.base)))
    stage.client.directory(refresh=True)
    with pytest.raises(ProtocolError, match="revokeCert"):
        stage.client.revoke(b"der")


@pytest.mark.parametrize(
    ("answer", "error", "word"),
    [
        (Answer(b"<!DOCTYPE html><title>Please log in</title>"), TransportError, "web page"),
        (Answer(b"hello", headers={"Content-Type": "text/html; charset=utf-8"}), TransportError, "web page"),
        (Answer(headers={"Replay-Nonce": ""}), ProtocolError, "Replay-Nonce"),
        (Answer(status=204, headers={"Replay-Nonce": ""}), ProtocolError, "Replay-Nonce"),
    ],
)
def test_a_success_that_is_not_the_cas(stage: Stage, answer: Answer, error: type[Exception], word: str) -> None:
    """A web page, or a reply without a nonce, confirms neither a revocation nor a key change: the old key signs on."""
    stage.says("/revokeCert", answer)
    with pytest.raises(error, match=word):
        stage.client.revoke(b"der")
    stage.says("/keyChange", answer)
    before = stage.client.thumbprint
    with pytest.raises(error, match=word):
        stage.client.change_key(load_account_key(generate_account_key()))
    assert stage.client.thumbprint == before


def test_connections_are_reused(stage: Stage) -> None:
    """A hundred requests in a row use one connection."""
    ports: set[int] = set()

    def note(handler: Handler) -> Answer:
        ports.add(handler.client_address[1])
        return Answer({"status": "processing"})

    url = stage.says("/order/1", note)
    for _ in range(100):
        stage.client.order(url)
    assert len(ports) == 1


def test_who_we_are(stage: Stage) -> None:
    """Every request carries our User-Agent."""
    agents: list[str] = []

    def note(handler: Handler) -> Answer:
        agents.append(handler.headers["User-Agent"])
        return Answer({"suggestedWindow": {}}, headers={"Retry-After": "21600"})

    document, wait = stage.client.fetch(stage.says("/renewal/1", note))
    assert (document, wait) == ({"suggestedWindow": {}}, 21600.0)
    assert agents[0].startswith("certcore/")
