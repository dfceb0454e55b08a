"""A site for all tests of this folder, which run on one worker, and a browser for each of its modules."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from certcore import Status
from support.browser import Person, chromium, chromium_path
from support.ca_proxy import proxy_before
from support.panel_site import PASSWORD, open_panel_site

#: Name, groups, whether a superuser. Each test has tenants of its own, so that what it finds is its own.
USERS = [
    ("root", [], True),
    ("viewer", ["SSL viewers"], False),
    *((name, [], False) for name in ("anna", "bert", "carla", "dora", "ivan", "lena", "nora")),
]


@pytest.hookimpl(tryfirst=True)  # before tests/conftest.py gives a group to each test that has none
def pytest_collection_modifyitems(items):
    """All on one worker; skipped with the reason where Chromium is missing."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("browser"))
            if chromium_path() is None:
                item.add_marker(pytest.mark.skip(reason="chromium is not installed: install Debian's package chromium"))


# Closed after each module: while Playwright runs, asyncio counts as running in this thread, also for other tests.
@pytest.fixture(scope="module")
def browser():
    """A browser for the tests of a module."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A panel with its SSL section, its CA and its DNS, running."""
    with open_panel_site(tmp_path_factory.mktemp("site"), USERS) as site:
        yield site


@pytest.fixture(scope="session")
def sign_ins():
    """The cookies of those who have signed in, by user."""
    return {}


@pytest.fixture(scope="module")
def slow_profile(site, tmp_path_factory):
    """A CA profile whose CA is for ever at work on its orders."""
    with proxy_before(site.pebble, tmp_path_factory.mktemp("proxy")) as (plan, proxied):
        plan.rewrite = _at_work
        yield site.profile("Slow", directory_url=proxied["directory_url"], trusted_roots=proxied["roots_pem"])


def _at_work(path, status, body, headers):
    """An order that is valid is shown as one that the CA works on (RFC 8555 section 7.1.6)."""
    if path.startswith(("/my-order/", "/finalize-order/")) and status == 200:
        order = json.loads(body)
        if order["status"] == "valid":
            del order["certificate"]
            body = json.dumps({**order, "status": "processing"}).encode()
    return status, body, headers


@pytest.fixture(scope="module")
def statuses(site, slow_profile):
    """A certificate in every status, by status: the id."""
    refusing = site.profile("Without this validation", challenges="dns-persist-01")  # Pebble does not offer it
    found = {
        "draft": site.draft("draft.test", "dora"),
        "pending": site.pending("pending.test", "dora"),
        "processing": site.draft("processing.test", "dora", authority=slow_profile.id),
        "error": site.pending("error.test", "dora", authority=refusing.id),
        "active": site.issued("active.test", "dora", aliases=["www.active.test"], wildcard=True),
        "revoked": site.issued("revoked.test", "dora"),
        "imported": site.imported("imported.test", "dora", days=28),
        "expired": site.imported("expired.test", "dora", days=-3),
        "in-danger": site.in_danger("danger.test", "dora"),
    }
    site.set_cnames(found["processing"])  # before the first look, after which the next one may be minutes away
    site.core.certificates.generate_csr(found["processing"])
    site.core.certificates.revoke(found["revoked"])
    site.until(lambda: site.status("error.test") is Status.ERROR)
    site.until(lambda: site.status("processing.test") is Status.PROCESSING)
    site.until(lambda: site.core.certificates.rows(condition="RenewalInDanger").items)
    assert {site.status(f"{status}.test") for status in Status} == set(Status)
    return found


@pytest.fixture(scope="module")
def pictures():
    """Where pictures of the pages go: the folder that CERTCORE_SCREENSHOTS names, else nowhere."""
    if not (named := os.environ.get("CERTCORE_SCREENSHOTS")):
        return None
    folder = Path(named).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def person(browser, site, sign_ins, pictures, request):
    """Opens windows for people, who sign in once; at the end, fails when a page did what none may do."""
    people = []

    def arrive(user, **options):
        name = f"{request.node.originalname.removeprefix('test_')}-{user or 'nobody'}"
        if user in sign_ins:
            options["storage_state"] = sign_ins[user]
        people.append(Person.arrive(browser, site.base_url, pictures, name, **options))
        if user and user not in sign_ins:
            people[-1].sign_in(user, PASSWORD)
            sign_ins[user] = people[-1].page.context.storage_state()
        return people[-1]

    with contextlib.ExitStack() as leaving:
        yield arrive
        for one in people:
            leaving.callback(one.leave)
