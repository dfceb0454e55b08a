"""Nonces of the ACME client: replaced, bounded, and never shared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from certcore_puq_acme.protocol.errors import AcmeProblemError, ProtocolError
from certcore_puq_acme.protocol.signed_requests import BAD_NONCE_RETRIES
from support.scripted_acme import Answer, Stage, refusal

BAD_NONCE = {"type": "urn:ietf:params:acme:error:badNonce", "detail": "used"}


def test_a_bad_nonce_is_replaced_by_the_errors_own(stage: Stage) -> None:
    """Twenty-five refused nonces end in success: each retry takes the nonce that the error brought."""
    url = stage.says("/order/1", *[Answer(BAD_NONCE, 400)] * 25, Answer({"status": "processing"}))
    assert stage.client.order(url).status == "processing"
    assert stage.asked("POST") == 26
    assert stage.asked("HEAD", "/newNonce") == 1
    sent = [stage.protected(index)["nonce"] for index in range(26)]
    assert sent == [f"nonce-{number}" for number in range(2, 28)]


def test_bad_nonces_are_bounded(stage: Stage) -> None:
    """A server that refuses every nonce is given up on."""
    error = refusal(stage, Answer(BAD_NONCE, 400))
    assert error.acme_type == "badNonce"
    assert stage.asked("POST") == BAD_NONCE_RETRIES + 1


def test_a_bad_nonce_without_a_new_one(stage: Stage) -> None:
    """When the error brings no nonce, newNonce is asked for one."""
    url = stage.says("/order/1", Answer(BAD_NONCE, 400, {"Replay-Nonce": ""}), Answer({"status": "processing"}))
    stage.client.order(url)
    assert stage.asked("HEAD", "/newNonce") == 2


def test_errors_bring_nonces_too(stage: Stage) -> None:
    """The nonce of an error reply serves the next request."""
    refusal(stage, Answer({}, 500))
    refusal(stage, Answer({}, 403))
    assert stage.asked("HEAD", "/newNonce") == 1


@pytest.mark.parametrize("nonce", ["", "not base64url!", "x" * 2000])
def test_a_server_without_nonces(stage: Stage, nonce: str) -> None:
    """A newNonce reply without a usable Replay-Nonce is a ProtocolError; its errors stay errors."""
    stage.says("/newNonce", Answer(headers={"Replay-Nonce": nonce}))
    url = stage.says("/order/1", Answer({}))
    with pytest.raises(ProtocolError) as caught:
        stage.client.order(url)
    assert caught.value.field == "Replay-Nonce"
    stage.says("/newNonce", Answer(status=503, headers={"Replay-Nonce": nonce, "Retry-After": "9"}))
    with pytest.raises(AcmeProblemError) as refused:
        stage.client.order(url)
    assert refused.value.retry_after == 9
    assert stage.asked("POST") == 0


def test_threads_never_share_a_nonce(stage: Stage) -> None:
    """Many threads on one client never send the same nonce twice, and every request is counted."""
    url = stage.says("/order/1", Answer({"status": "processing"}))
    stage.client.directory()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stage.client.order(url), range(200)))
    sent = [stage.protected(index)["nonce"] for index in range(200)]
    assert len(set(sent)) == 200
    assert stage.asked("HEAD") <= 8
    assert stage.client.requests_sent == len(stage.server.state.seen)
