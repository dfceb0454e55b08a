"""Pictures of the example panel, taken by a browser of pages that it really shows. ``make pictures`` takes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

PANEL: Final = Path(__file__).parents[1] / "examples/panel"
#: Seconds until the panel has all its certificates, and until a page shows what is waited for.
_START: Final = 240.0
_PATIENCE: Final = 60.0
_PASSWORD: Final = "panel"  # noqa: S105 - the example panel prints it at its start
_ARGUMENTS: Final = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


@frozen(kw_only=True)
class Picture:
    """One picture: who looks at what."""

    name: str
    user: str
    #: The page, or the domain of a certificate, whose page it is.
    path: str = ""
    domain: str = ""
    width: int = 1200
    height: int = 800
    #: Further options of the browser's window: ``locale``, ``color_scheme``.
    options: dict[str, str] = field(factory=dict)


PICTURES: Final = (
    Picture(name="panel-dashboard", user="admin", path="ssl/"),
    Picture(name="panel-list", user="admin", path="ssl/certificates/"),
    Picture(name="panel-pending", user="anna", domain="pending.customers.test"),
    Picture(name="panel-active-dark", user="anna", domain="shop.customers.test", options={"color_scheme": "dark"}),
    Picture(name="panel-ukrainian", user="anna", domain="pending.customers.test", options={"locale": "uk-UA"}),
    Picture(name="panel-phone", user="anna", path="ssl/certificates/", width=390, height=800),
)


@contextmanager
def running_panel() -> Iterator[str]:
    """The address of an example panel, which is stopped at the end.

    Raises:
        SystemExit: It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="certcore-panel-") as folder:
        files = Path(folder) / "var"
        command = [sys.executable, PANEL / "run.py", "start", "--folder", files, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - it is in this repository
        try:
            deadline = time.monotonic() + _START
            while not (ready := files / "ready.json").exists() or not ready.read_text(encoding="utf-8"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("The example panel does not start; try: make panel")
                time.sleep(0.2)
            yield json.loads(ready.read_text(encoding="utf-8"))["url"]
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def take_pictures(folder: Path) -> None:
    """Take all pictures, as PNG files.

    Raises:
        SystemExit: Chromium or Pebble is not installed.
    """
    missing = [program for program in ("chromium", "pebble") if shutil.which(program) is None]
    if missing:
        raise SystemExit(f"No pictures of the panel: {', '.join(missing)} is not installed.")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the picture of the states needs no browser

    with running_panel() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        try:
            for picture in PICTURES:
                _take(browser, url, picture, folder / f"{picture.name}.png")
        finally:
            browser.close()


def _take(browser: Any, url: str, picture: Picture, file: Path) -> None:
    size = {"width": picture.width, "height": picture.height}
    context = browser.new_context(base_url=url, viewport=size, **{"locale": "en-GB", **picture.options})
    context.set_default_timeout(_PATIENCE * 1000)
    page = context.new_page()
    page.goto("accounts/login/")
    page.locator("input[name=username]").fill(picture.user)
    page.locator("input[name=password]").fill(_PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.goto(picture.path or "ssl/certificates/")
    if picture.domain:
        page.get_by_role("link", name=re.compile(rf"^\s*{re.escape(picture.domain)}")).first.click()
        page.wait_for_load_state()
    page.wait_for_timeout(500)  # what the page loads by itself, the numbers of the dashboard say
    page.screenshot(path=file)
    context.close()
