"""gunicorn --preload: the application, and with it certcore, is opened before gunicorn forks its workers."""

import http.client
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from certcore import CertCore
from certcore.testing.ports import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed"),
]

#: "Open it once per process": at import, as an application does that knows nothing of preload.
APPLICATION = """
import json, os
from certcore import CertCore, errors

core = CertCore.open(os.environ["CERTCORE_TEST_URL"], keyring=os.environ["CERTCORE_TEST_KEYRING"])
core.certificates.list()

def application(environ, start_response):
    asked = environ["PATH_INFO"].strip("/")
    try:
        answer = {"id": core.certificates.get(asked).id, "pid": os.getpid()}
        if environ["REQUEST_METHOD"] == "POST":
            core.certificates.create("new.example", authority=core.certificates.get(asked).authority_id)
    except errors.CertCoreError as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


# MariaDB in make soak: both servers take the same way through a fork, and test_fork.py has MariaDB in the gate.
@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.soak)])
def url(request, tmp_path):
    """A database of each kind, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/certcore.db"
    return request.getfixturevalue(request.param).new_database()


@contextmanager
def _gunicorn(folder, url, keyring):
    (folder / "preloaded.py").write_text(APPLICATION)
    port = free_port()
    options = ["-w", "3", "--threads", "2", "-b", f"127.0.0.1:{port}", "-t", "30", "--preload", "--no-control-socket"]
    environment = {**os.environ, "CERTCORE_TEST_URL": url, "CERTCORE_TEST_KEYRING": str(keyring)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "preloaded:application"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield port, process, folder / "log"
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _ask(port, one, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, f"/{one}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _serve(folder, url, requests):
    keyring = folder / "keyring.json"
    if not keyring.exists():
        CertCore.create_keyring(keyring)
    with CertCore.open(url, keyring=keyring) as core:
        settings = {"ca": "letsencrypt", "terms_agreed": True, "tech_zone": "acme.panel.example"}
        known = core.authorities.list()
        profile = known[0] if known else core.authorities.create("acme", module="puq_acme", settings=settings)
        ids = [core.certificates.create("shop.example", authority=profile.id).id for _ in range(6)]
    with _gunicorn(folder, url, keyring) as (port, process, log):
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with suppress(OSError, http.client.HTTPException):
                _ask(port, ids[0])
                break
            time.sleep(0.05)

        def check(number):
            one = ids[number % len(ids)]
            answer = _ask(port, one, "POST" if number % 5 == 0 else "GET")
            return answer.get("error", "" if answer.get("id") == one else "another certificate"), answer.get("pid")

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(check, range(requests)))
            for _ in range(40):  # which worker takes a connection is up to the system
                if len({pid for _, pid in answers}) > 1:
                    break
                answers += pool.map(check, range(requests))
    assert +Counter(wrong for wrong, _ in answers if wrong) == Counter()
    return {pid for _, pid in answers}


def test_workers_of_a_preloaded_application_work(tmp_path, url):
    """Workers that were forked from an open core answer every request with the row that was asked for."""
    assert len(_serve(tmp_path, url, 60)) > 1


@pytest.mark.soak
def test_workers_of_a_preloaded_application_work_for_long(tmp_path, url):
    """Three workers and 240 requests, five times: no wrong row, no error, no hang."""
    for _ in range(5):
        _serve(tmp_path, url, 240)
