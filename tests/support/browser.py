"""A person at a browser: Debian's Chromium, driven by Playwright, with what no page may do kept as complaints.

Playwright's own browsers are never downloaded. The browser resolves no name, so that no request can leave the machine.
"""

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from attrs import Factory, define

__all__ = ["PATIENCE", "Person", "chromium", "chromium_path"]

#: Seconds that a condition on a page may take: a loaded machine is slow, not wrong.
PATIENCE = 60

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
#: What the browser says of a page whose status is not 200; the statuses are looked at by themselves.
_STATUS_LINE = re.compile(r"Failed to load resource: the server responded with a status of \d+")
#: What htmx says of a request that was under way when somebody went to another page.
_LEFT_BEHIND = re.compile("htmx:(sendAbort|sendError)")
#: Finds axe-core calls by these names; the rest are advice.
_GRAVE = ("serious", "critical")


def chromium_path():
    """Where Debian's Chromium is; None where it is not installed."""
    return shutil.which("chromium")


@contextlib.contextmanager
def chromium():
    """A browser with a profile of its own, which is removed with it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="certcore-chromium-", ignore_cleanup_errors=True) as home:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium_path(),
                args=_ARGUMENTS,
                env={**variables, "HOME": home, "TMPDIR": home},
                timeout=PATIENCE * 1000,
            )
            try:
                yield browser
            finally:
                browser.close()


@define(eq=False, slots=False)  # Playwright notes its handlers on the object
class Person:
    """Somebody with a browser window of their own, on one site.

    `look` asks axe-core about the page; `leave` fails when a page did what none may do.
    """

    page: object
    base_url: str
    #: The folder for pictures of the pages; None where nobody wants any.
    pictures: Path | None
    name: str
    #: Statuses of pages that the test provokes on purpose.
    expected: set = Factory(set)
    complaints: list = Factory(list)
    _looked: int = 0

    @classmethod
    def arrive(cls, browser, base_url, pictures, name, **options):
        """Open a window; ``options`` are those of Playwright's ``new_context``: viewport, locale, color_scheme."""
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(base_url=base_url, accept_downloads=True, **options)
        context.set_default_timeout(PATIENCE * 1000)
        person = cls(page=context.new_page(), base_url=base_url, pictures=pictures, name=name)
        context.on("console", person._said)
        context.on("request", person._asked)
        context.on("response", person._answered)
        context.on("weberror", lambda error: person.complaints.append(f"uncaught: {error.error}"))
        return person

    def _said(self, message):
        if message.type in {"error", "warning"} and not (
            _STATUS_LINE.match(message.text) or _LEFT_BEHIND.match(message.text)
        ):
            self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request):
        if not request.url.startswith((self.base_url, "data:", "blob:")):
            self.complaints.append(f"request to another place: {request.url}")

    def _answered(self, response):
        if response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"{response.status} of {response.request.method} {response.url}")

    def visit(self, path):
        """Go to a page of the site."""
        self.page.goto(path)

    def picture(self, title):
        """Wait until the page is complete, and take a picture of all of it where pictures are wanted."""
        self._looked += 1
        self.page.wait_for_load_state()
        if self.pictures is not None:
            path = self.pictures / f"{self.name}-{self._looked:02d}-{title}.png"
            self.page.screenshot(path=path, full_page=True)

    def look(self, title):
        """Take a picture where pictures are wanted, and ask axe-core what hinders people on the page."""
        from axe_playwright_python.sync_playwright import Axe

        self.picture(title)
        for found in Axe().run(self.page).response["violations"]:
            if found["impact"] in _GRAVE:
                places = "; ".join(f"{node['target']} {node['html'][:200]}" for node in found["nodes"][:3])
                self.complaints.append(f"axe on {title}: {found['id']} ({found['impact']}): {found['help']}: {places}")

    def sign_in(self, user, password):
        """Sign in on the page that the site has sent this person to, or on the site's log-in page."""
        if "login" not in self.page.url:
            self.visit("/accounts/login/")
        self.page.locator("[name=username]").fill(user)
        self.page.locator("[name=password]").fill(password)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def read(self):
        """The words of the page as a person sees them."""
        return self.page.inner_text("body")

    def until(self, text, *, within="body"):
        """Wait until a text is to be seen, without reloading."""
        self.page.locator(within).get_by_text(text).first.wait_for()

    def is_wider_than_the_window(self):
        """Whether the page must be scrolled sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")

    def leave(self):
        """Close the window; fail when one of its pages did what none may do."""
        self.page.context.close()
        assert not self.complaints, "\n".join(self.complaints)
