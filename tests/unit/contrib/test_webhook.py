"""Webhooks: a real server gets every event, in order, and again when it refuses."""

import logging

import pytest
from attrs import evolve

from certcore.contrib.webhook import SIGNATURE_HEADER, Webhook, WebhookError
from certcore.errors import InvalidInputError
from certcore.model.events import EventKind
from certcore.model.problem import Problem
from certcore.model.secret import Secret
from certcore.serialization import event_document
from support.webhook_receivers import EVENT, SECRET, hook, nobody


def test_every_event_is_posted_in_order(open_place, receiver):
    """From the first to the last, deletion included, each once, with what the event and the certificate say."""
    place = open_place(hook(receiver.url()))
    certificate_id = place.issued("shop.example", owner="customer-7")
    place.deliver()
    place.core.certificates.delete(certificate_id)
    place.deliver()
    record = place.core.certificates.timeline(certificate_id)
    assert [each["kind"] for each in receiver.documents] == [str(event.kind) for event in record]
    assert [each["id"] for each in receiver.documents] == [f"{certificate_id}/{event.number}" for event in record]
    installed = next(each for each in receiver.documents if each["kind"] == "installed")
    event = next(event for event in record if event.kind == "installed")
    assert installed == {
        "schema": "urn:certcore:schema:webhook:1",
        "id": f"{certificate_id}/{event.number}",
        "domain": "shop.example",
        "owner": "customer-7",
        "certificate_id": certificate_id,
        "number": event.number,
        "at": f"{event.at:%Y-%m-%dT%H:%M:%S}Z",
        "kind": "installed",
        "actor": event.actor,
        "from_status": "pending",
        "to_status": "active",
        "data": dict(event.data),
        "problem": None,
        "hash": event.hash,
    }
    last = receiver.documents[-1]
    assert (last["kind"], last["domain"], last["owner"]) == ("deleted", "shop.example", "customer-7")
    for path, headers, _ in receiver.got:
        assert path == "/hook"
        assert headers["Content-Type"] == "application/json"
        assert SIGNATURE_HEADER not in headers


def test_a_problem_is_posted(receiver):
    """As the document that RFC 9457 describes."""
    problem = Problem(type="urn:test", title="It failed.", detail="für immer \ud800", advice="Wait.")
    hook(receiver.url()).certcore_on_event(evolve(EVENT, problem=problem, data={"deep": {"list": [1, None]}}), nobody())
    (document,) = receiver.documents
    assert document["problem"] == problem.to_json()
    assert document["data"] == {"deep": {"list": [1, None]}}
    assert document.keys() == {"id", "domain", "owner"} | event_document(EVENT).keys()


def test_only_the_kinds_that_are_asked_for(open_place, receiver):
    """The others count as taken."""
    place = open_place(hook(receiver.url(), kinds=["installed", EventKind.DELETED]))
    certificate_id = place.issued()
    place.deliver()
    assert [each["kind"] for each in receiver.documents] == ["installed"]
    assert place.reason(certificate_id, "panel") is None


def test_a_server_that_refuses_is_asked_again(open_place, receiver):
    """The event is kept, in order, with the reason; the repeated request has the same body and key."""
    place = open_place(hook(receiver.url(), kinds=["csr_generated", "installed"]))
    receiver.status = 503
    certificate_id = place.issued()
    for attempts in (1, 2):
        place.deliver()
        behind = place.core.certificates.deliveries(certificate_id).behind["panel"]
        assert behind.attempts == attempts
        assert "WebhookError: The server http://127.0.0.1" in behind.reason
        assert "status 503" in behind.reason
    receiver.status = 200
    place.deliver()
    assert place.reason(certificate_id, "panel") is None
    assert [each["kind"] for each in receiver.documents] == ["csr_generated"] * 3 + ["installed"]
    assert len({body for _, _, body in receiver.got[:3]}) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_enough(receiver, status):
    """Whatever kind of success it is."""
    receiver.status = status
    hook(receiver.url()).certcore_on_event(EVENT, nobody())
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "log"),
        (401, "secret"),
        (403, "secret"),
        (404, "URL"),
        (405, "POST"),
        (410, "remove"),
        (429, "again"),
        (500, "log"),
    ],
)
def test_a_refusal_says_what_to_look_at(receiver, status, advice):
    """With the status, and nothing of the URL but the server."""
    receiver.status = status
    with pytest.raises(WebhookError, match=f"status {status}") as failed:
        hook(receiver.url("/canary-path")).certcore_on_event(EVENT, nobody())
    assert advice in failed.value.advice
    assert "canary" not in str(failed.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver, status):
    """Not within the server, and not to another one: only the administrator says where events go."""
    receiver.status = status
    receiver.headers = {"Location": receiver.url("/inner")}
    with pytest.raises(WebhookError, match="redirect"):
        hook(receiver.url()).certcore_on_event(EVENT, nobody())
    assert [path for path, _, _ in receiver.got] == ["/hook"]


def test_the_environment_has_no_say(receiver, monkeypatch):
    """Neither proxies nor logins that other programs put there are used."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    hook(receiver.url()).certcore_on_event(EVENT, nobody())
    assert "Authorization" not in receiver.got[0][1]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"url": "http://panel.example/"}, "url"),
        ({"url": "http://127.0.0.1.example/"}, "url"),
        ({"url": "http://localhost.example/"}, "url"),
        ({"url": "ftp://panel.example/"}, "url"),
        ({"url": "panel.example"}, "url"),
        ({"url": "https:///hook"}, "url"),
        ({"url": "https://canary:pass@panel.example/"}, "url"),
        ({"url": "https://canary@panel.example/"}, "url"),
        ({"url": "https://panel.example/#x"}, "url"),
        ({"url": "https://panel.example/a b"}, "url"),
        ({"url": "https://panel.example/\r\nX: y"}, "url"),
        ({"url": "https://panel.example:99999/"}, "url"),
        ({"url": "https://panel.example:0/"}, "url"),
        ({"url": "https://pänel.example/"}, "url"),
        ({"url": "https://[::1/"}, "url"),
        ({"url": "https://" + "a" * 3000}, "url"),
        ({"url": None}, "url"),
        ({"secrets": ["text"]}, "secrets"),
        ({"secrets": [Secret("too-short-canary"[:15])]}, "secrets"),
        ({"secrets": [SECRET] * 11}, "secrets"),
        ({"kinds": ["exploded"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"kinds": "installed"}, "kinds"),
        ({"read_timeout": 0}, "read_timeout"),
        ({"connect_timeout": 10**6}, "connect_timeout"),
    ],
)
def test_what_cannot_work_is_refused_at_once(given, field):
    """By the name of the field, and without a secret in the sentence."""
    with pytest.raises(InvalidInputError) as refused:
        Webhook(**{"name": "panel", "url": "https://panel.example/hook", **given})
    assert refused.value.field == field
    assert "canary" not in str(refused.value)


def test_plain_http_is_for_this_machine(receiver):
    """Or for whoever asks for it."""
    for url in ("http://localhost/", "http://127.0.0.5/", "http://[::1]:8080/x"):
        hook(url)
    assert hook("http://panel.example/", allow_http=True).allow_http


def test_secrets_are_not_shown(receiver, caplog):
    """Neither those that sign nor the URL, whose path or query may be one, are in representations, errors and logs."""
    target = hook(receiver.url("/canary-path?canary-query"), secrets=[SECRET])
    receiver.status = 500
    with caplog.at_level(logging.DEBUG), pytest.raises(WebhookError) as failed:
        target.certcore_on_event(EVENT, nobody())
    assert receiver.got[0][0] == "/canary-path?canary-query"
    assert "canary" not in "".join((repr(target), str(failed.value), str(failed.value.as_dict()), caplog.text))
