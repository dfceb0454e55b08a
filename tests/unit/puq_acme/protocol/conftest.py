"""What the tests of the ACME protocol share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.http import Http
from support.scripted_acme import KEY, Answer, Server, Stage, serve


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server with a directory and nonces; everything else is for the test to script."""
    server = Server()
    http = Http(timeout=60)
    client = AcmeClient(f"{server.base}/dir", key=KEY, http=http, account_url=f"{server.base}/acct/1")
    stage = Stage(server, client, http)
    names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
    stage.says("/dir", Answer({name: f"{server.base}/{name}" for name in names}, headers={"Replay-Nonce": ""}))
    stage.says("/newNonce", Answer())
    with serve(server):
        yield stage
        http.close()
