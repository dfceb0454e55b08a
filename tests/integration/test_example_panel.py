"""The panel in examples/panel: one command starts it with everything, one stops it, and nothing is left behind."""

import html
import json
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from certcore import Status

RUN = Path(__file__).parents[2] / "examples" / "panel" / "run.py"
DEADLINE = 120.0
CERTIFICATE = r"certificates/[0-9a-f]{32}/"
#: The pages without an id in their address.
PAGES = ("", "certificates/", "certificates/new/", "certificates/import/", "audit/", "deliveries/")
OF_ADMINISTRATORS = ("authorities/", "authorities/new/", "authorities/new/?module=puq_acme", "plugins/")

pytestmark = [pytest.mark.pebble, pytest.mark.slow(reason="starts a Pebble and issues five certificates")]


class Visitor(httpx.Client):
    """A browser."""

    def post_form(self, address, to="", **values):
        """What a form of a page posts, to the page itself or elsewhere, with its token."""
        (token, *_) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(address).text)
        return self.post(to or address, data={**values, "csrfmiddlewaretoken": token})

    def text(self, address):
        """The texts of a page that has to be there."""
        answer = self.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())

    def addresses(self, address, pattern):
        """The addresses of the section that a page leads to."""
        return sorted(set(re.findall(rf'href="/(ssl/{pattern})"', self.get(address).text)))


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The panel, ready to be visited: its address, its process and its folder."""
    folder = tmp_path_factory.mktemp("panel") / "var"
    arguments = [sys.executable, str(RUN), "start", "--folder", str(folder), "--port", "0"]
    # Pebble's folders are below the temporary directory, so that the test sees what is left.
    temporary = folder.parent / "tmp"
    temporary.mkdir()
    output = (folder.parent / "output").open("w+")
    process = subprocess.Popen(arguments, stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(temporary)})
    try:
        deadline = time.monotonic() + DEADLINE
        ready = folder / "ready.json"
        while not ready.exists():
            is_starting = process.poll() is None and time.monotonic() < deadline
            assert is_starting, (folder.parent / "output").read_text()
            time.sleep(0.1)
        yield json.loads(ready.read_text())["url"], process, folder
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        output.close()


@pytest.fixture
def visit(started):
    """Signs a user in; the browser is closed after the test."""
    with ExitStack() as opened:

        def signed_in(user):
            visitor = opened.enter_context(Visitor(base_url=started[0], timeout=60))
            assert visitor.post_form("accounts/login/", username=user, password="panel").status_code == 302
            return visitor

        yield signed_in


def test_every_status_can_be_seen(visit):
    """The list has a dozen certificates, in all seven statuses, one of them active and in danger."""
    admin = visit("admin")
    for status in Status:
        assert admin.addresses(f"ssl/certificates/?status={status}", CERTIFICATE), status
    assert len(admin.addresses("ssl/certificates/", CERTIFICATE)) >= 12
    assert "in-danger.customers.test" in admin.text("ssl/certificates/?condition=RenewalInDanger")
    assert "down.customers.test" in admin.text("ssl/deliveries/")


def test_every_page_answers(visit):
    """All pages of the section, those of each certificate and CA profile, and what their links lead to."""
    admin = visit("admin")
    for page in (*PAGES, *OF_ADMINISTRATORS):
        assert "Example panel" in admin.text(f"ssl/{page}")
    for pages, one in (
        ("certificates/", CERTIFICATE),
        ("authorities/", r"authorities/[0-9a-f]{32}/"),
    ):
        for address in admin.addresses(f"ssl/{pages}", one):
            admin.text(address)
            for further in admin.addresses(address, rf"{one}[\w/-]+/"):
                assert admin.get(further).status_code == 200, further


def test_each_user_sees_what_the_role_shows(started, visit):
    """Nobody gets in without a password; a viewer changes nothing; an owner sees the own certificates alone."""
    url, *_ = started
    assert "/accounts/login/" in httpx.get(f"{url}ssl/").headers["Location"]
    vera, anna, bert = (visit(user) for user in ("vera", "anna", "bert"))
    for visitor in (vera, anna, bert):
        for page in PAGES:
            assert visitor.get(f"ssl/{page}").status_code in ((200, 403) if visitor is vera else (200,)), page
    assert vera.get("ssl/authorities/new/").status_code == anna.get("ssl/authorities/").status_code == 403
    assert "shop.customers.test" in anna.text("ssl/certificates/")
    theirs = bert.text("ssl/certificates/")
    assert "api.customers.test" in theirs
    assert "shop.customers.test" not in theirs
    assert vera.post_form("ssl/", to="accounts/logout/").status_code == 302
    assert "/accounts/login/" in vera.get("ssl/").headers["Location"]
    (shop,) = anna.addresses("ssl/certificates/?search=shop", CERTIFICATE)
    assert bert.get(shop).status_code == 404


def test_a_profile_is_tested_at_the_ca(visit):
    """Save and Test on a page: directory, account and tech zone of the local CA all pass."""
    admin = visit("admin")
    for address in admin.addresses("ssl/authorities/", r"authorities/[0-9a-f]{32}/"):
        (token, *_) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', admin.get(address).text)
        answer = admin.post(f"{address}test/", data={"csrfmiddlewaretoken": token})
        assert "All checks passed." in answer.text


def test_a_customer_sets_the_cname_and_the_certificate_is_issued(visit):
    """Pending becomes active after the customer has set the record on the page of the DNS host."""
    anna = visit("anna")
    (page,) = anna.addresses("ssl/certificates/?search=pending", CERTIFICATE)
    shown = anna.text(page)
    name, value = re.search(
        r"(_acme-challenge\.pending\.customers\.test) .*?(\w{20,}\.acme\.panel\.test)", shown
    ).groups()
    assert anna.post_form("dns/", name="elsewhere.example", value=value).status_code == 422
    assert anna.post_form("dns/", name=name, value=value).status_code == 302
    deadline = time.monotonic() + DEADLINE
    while "Certificate is active" not in anna.text(page):
        assert time.monotonic() < deadline, anna.text(page)
        time.sleep(0.5)


def test_one_command_stops_it_and_nothing_is_left(started):
    """The last test: the process ends by itself, its folder is gone, and Pebble's, too."""
    _, process, folder = started
    stopped = subprocess.run(
        [sys.executable, str(RUN), "stop", "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert stopped.returncode == 0, stopped.stderr
    assert process.wait(60) == 0
    assert not folder.exists()
    assert list((folder.parent / "tmp").iterdir()) == []
    again = subprocess.run(
        [sys.executable, str(RUN), "stop", "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (again.returncode, again.stdout.strip()) == (0, "The example panel does not run.")
