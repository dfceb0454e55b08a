"""People at the SSL section of a panel, each in a window of Chromium: what they click, see and wait for."""

import io
import re
import shutil
import zipfile
from datetime import UTC, datetime

import pytest

from certcore import Status
from certcore.testing import make_request
from support.django_addresses import addresses
from support.django_panel import configure
from support.leaves import bought
from support.panel_site import PASSWORD

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]


def _button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def _link(page, name):
    return page.get_by_role("link", name=name)


def _is(page, status):
    """Wait until the page says so by itself."""
    page.locator(f"[data-status={status}]").wait_for()


def test_an_owner_from_the_sign_in_to_a_reissue(person, site):
    """Sign in, create, generate the CSR, read the CNAME, see it become active, export, revoke, reissue."""
    anna = person(None)
    anna.visit("/ssl/")
    anna.look("sign-in")
    anna.sign_in("anna", PASSWORD)
    page = anna.page
    anna.look("dashboard")
    page.get_by_role("navigation").get_by_role("link", name="SSL certificates").click()
    anna.look("empty-list")
    _link(page, "+ Create").click()
    anna.look("new")
    page.get_by_label("Domain").fill("walk.test")
    page.get_by_label("Aliases").fill("www.walk.test")
    _button(page, "Save").click()
    _is(page, "draft")
    anna.look("draft")
    _button(page, "Generate CSR").click()
    _is(page, "pending")
    page.get_by_text("Missing").first.wait_for()
    anna.look("pending")
    _copy_and_set(page, site)
    page.evaluate("window.wasNotLoadedAgain = true")
    _is(page, "active")
    page.get_by_text("Certificate is active!").wait_for()
    assert page.evaluate("window.wasNotLoadedAgain"), "the page was loaded again"
    anna.look("active")

    _link(page, "reveal the private key").click()
    page.get_by_label("Reason").fill("to see it")
    anna.look("key-asked")
    _button(page, "Reveal the private key").click()
    page.get_by_text("PRIVATE KEY-----").first.wait_for()
    anna.look("key")
    _link(page, "Close").click()
    _link(page, "Export").click()
    page.get_by_label("Reason").fill("for the vault")
    anna.look("export")
    with page.expect_download() as download:
        _button(page, "Download").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as files:
        assert any(b"PRIVATE KEY-----" in files.read(name) for name in files.namelist())
    _link(page, "Back").click()

    _link(page, "Revoke").click()
    anna.look("revoke")
    _button(page, "Revoke").click()
    _is(page, "revoked")
    anna.look("revoked")
    _link(page, "Reissue").click()
    anna.look("reissue")
    _button(page, "Reissue").click()
    _is(page, "active")
    anna.look("reissued")
    _link(page, "The whole timeline").click()
    page.get_by_text("for the vault").first.wait_for()
    anna.look("timeline")


def _copy_and_set(page, site):
    """What the owner does: copy names and values from the page to the DNS."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = []
    for button in page.get_by_role("button", name=re.compile("^Copy the (name|value)")).all():
        button.click()
        copied.append(button.get_attribute("data-copy"))
        site.until(lambda: page.evaluate("navigator.clipboard.readText()") == copied[-1])
    assert copied[::2] == ["_acme-challenge.walk.test", "_acme-challenge.www.walk.test"]
    for name, value in zip(copied[::2], copied[1::2], strict=True):
        site.zone.set(name, "CNAME", value)


def test_an_import_whose_key_does_not_fit(person, site):
    """The check says beside the field that the pair does not match; with the right key the import is saved."""
    leaf, key = bought("bought.test", now=datetime.now(UTC))
    ivan = person("ivan")
    page = ivan.page
    ivan.visit("/ssl/certificates/import/")
    ivan.look("import")
    page.get_by_label("Certificate", exact=True).fill(leaf)
    page.get_by_label("Private key", exact=True).fill(make_request("bought.test")[1])
    _button(page, "Check").click()
    page.locator("#field-private_key-errors p").wait_for()
    assert "does not belong" in page.locator("#field-private_key-errors").inner_text()
    ivan.look("mismatch")
    page.get_by_label("Private key", exact=True).fill(key)
    _button(page, "Check").click()
    page.get_by_text("What would be imported").wait_for()
    ivan.look("checked")
    _button(page, "Save").click()
    _is(page, "active")
    ivan.look("imported")
    assert site.status("bought.test") is Status.ACTIVE


def test_a_cname_that_breaks_while_the_certificate_is_active(person, site):
    """The certificate stays active; its page and the list say that the renewal waits, and for what."""
    certificate_id = site.issued("broken.test", "carla")
    site.zone.remove("_acme-challenge.broken.test", "CNAME")
    carla = person("carla")
    page = carla.page
    carla.visit(f"/ssl/certificates/{certificate_id}/")
    _button(page, "Renew now").click()
    page.get_by_text("Missing").first.wait_for()
    _is(page, "active")
    assert "_acme-challenge.broken.test" in carla.read()
    carla.look("certificate")
    carla.visit("/ssl/certificates/")
    row = page.get_by_role("row").filter(has_text="broken.test")
    assert "Owner" in row.inner_text()
    carla.look("list")
    carla.visit("/ssl/")  # its numbers may be a minute old
    carla.look("dashboard")
    site.set_cnames(certificate_id)
    carla.visit(f"/ssl/certificates/{certificate_id}/")
    first = site.core.certificates.get(certificate_id).active_issuance_id
    _button(page, "Check now").first.click()
    site.until(lambda: site.core.certificates.get(certificate_id).active_issuance_id != first)


def test_a_viewer_may_look_only(person, site):
    """A viewer sees the certificates of everybody, and neither a button nor an address lets them change one."""
    certificate_id = site.draft("looked-at.test", "anna")
    viewer = person("viewer")
    viewer.visit("/ssl/certificates/")
    viewer.until("looked-at.test")
    viewer.look("list")
    viewer.visit(f"/ssl/certificates/{certificate_id}/")
    viewer.look("certificate")
    shown = viewer.read()
    for word in ("Generate CSR", "Delete", "Save"):
        assert word not in shown, word
    viewer.expected |= {403}
    viewer.visit("/ssl/certificates/import/")
    viewer.look("refused")
    assert site.status("looked-at.test") is Status.DRAFT


def test_another_tenant_sees_nothing(person, site):
    """A second tenant finds neither in the list, nor by address, what belongs to the first one."""
    certificate_id = site.draft("hidden.test", "anna")
    nora = person("nora")
    nora.visit("/ssl/certificates/")
    nora.look("list")
    assert ".test" not in nora.read()
    nora.expected |= {404}
    nora.visit(f"/ssl/certificates/{certificate_id}/")
    nora.look("not-found")
    assert "hidden.test" not in nora.read()


def test_every_page_on_a_phone_in_the_dark(person, site, statuses):
    """No page, also of a certificate in any status, is wider than the window, and nothing grave is in the way."""
    root = person("root", viewport={"width": 360, "height": 740}, color_scheme="dark")
    wide = []
    for title, path in {**_pages(site), **_certificates(statuses)}.items():
        root.visit(path)
        root.look(title)
        wide += [title] if root.is_wider_than_the_window() else []
    assert not wide


def test_every_page_is_seen_in_every_status(person, site, statuses):
    """A certificate in every status as its owner sees it, and whatever else has a page: of each a picture."""
    configure()
    dora, root = person("dora"), person("root")
    for status, path in _certificates(statuses).items():
        dora.visit(path)
        dora.picture(status)
    seen = set()
    for each in addresses(certificate_id=statuses["active"], authority_id=site.authority.id):
        if not _is_a_page(root, each.path):
            continue
        root.visit(each.path)
        if root.page.url not in seen:
            root.picture(each.name)
            seen.add(root.page.url)
    assert len(seen) > 20


def _is_a_page(person, path):
    """Whether an address has a page: no file, no part of a page, nothing that takes posts only.

    It is asked without the window: the navigation to an answer that is no page would get in the way of the next one.
    """
    answer = person.page.context.request.get(path)
    return answer.ok and "content-disposition" not in answer.headers and "<main" in answer.text()


def test_every_page_in_ukrainian(person, site, statuses):
    """The pages are in the language that the browser asks for."""
    root = person("root", locale="uk-UA")
    for title, path in {**_pages(site), "active": _certificates(statuses)["active"]}.items():
        root.visit(path)
        root.look(title)
        assert root.page.locator("html").get_attribute("lang") == "uk"
        assert re.search("[\u0400-\u04ff]{4}", root.page.get_by_role("navigation").first.inner_text()), title
        assert re.search("[\u0400-\u04ff]{4}", root.page.get_by_role("main").inner_text()), title


def _certificates(statuses):
    return {status: f"/ssl/certificates/{each}/" for status, each in statuses.items()}


def _pages(site):
    return {
        "dashboard": "/ssl/",
        "list": "/ssl/certificates/",
        "new": "/ssl/certificates/new/",
        "import": "/ssl/certificates/import/",
        "authorities": "/ssl/authorities/",
        "authority-new": "/ssl/authorities/new/",
        "authority": f"/ssl/authorities/{site.authority.id}/",
        "plugins": "/ssl/plugins/",
        "audit": "/ssl/audit/",
        "deliveries": "/ssl/deliveries/",
    }
