"""A site and a browser for each module of this folder; all run on one worker."""

import contextlib
import os
from pathlib import Path

import pytest

from certcore import Status
from support.browser import Person, chromium, chromium_path
from support.panel_site import PASSWORD, open_panel_site

#: Name, groups, whether a superuser.
USERS = [("root", [], True), ("anna", [], False), ("bert", [], False), ("viewer", ["SSL viewers"], False)]


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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A panel with its SSL section, its CA and its DNS, running."""
    with open_panel_site(tmp_path_factory.mktemp("site"), USERS) as site:
        yield site


@pytest.fixture(scope="module")
def statuses(site):
    """A certificate in every status, by status: the id."""
    refusing = site.profile("Without this validation", challenges="dns-persist-01")  # Pebble does not offer it
    found = {
        "draft": site.draft("draft.test", "anna"),
        "pending": site.pending("pending.test", "anna"),
        "error": site.pending("error.test", "anna", authority=refusing.id),
        "active": site.issued("active.test", "anna", aliases=["www.active.test"], wildcard=True),
        "revoked": site.issued("revoked.test", "bert"),
        "imported": site.imported("imported.test", "bert", days=28),
        "expired": site.imported("expired.test", "bert", days=-3),
        "in-danger": site.in_danger("danger.test", "anna"),
    }
    site.core.certificates.revoke(found["revoked"])
    site.until(lambda: site.status("error.test") is Status.ERROR)
    site.until(lambda: site.core.certificates.rows(condition="RenewalInDanger").items)
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Where pictures of the pages go: the folder that CERTCORE_SCREENSHOTS names, else a temporary one."""
    folder = Path(os.environ.get("CERTCORE_SCREENSHOTS") or tmp_path_factory.mktemp("pictures")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def person(browser, site, pictures, request):
    """Opens windows for people; at the end, fails when a page did what none may do."""
    people = []

    def arrive(user, **options):
        name = f"{request.node.originalname.removeprefix('test_')}-{user or 'nobody'}"
        people.append(Person.arrive(browser, site.base_url, pictures, name, **options))
        if user:
            people[-1].sign_in(user, PASSWORD)
        return people[-1]

    with contextlib.ExitStack() as leaving:
        yield arrive
        for one in people:
            leaving.callback(one.leave)
