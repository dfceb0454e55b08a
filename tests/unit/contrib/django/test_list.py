"""The list: rows with badges, filters, sorting, pages, and what is done with many certificates at once."""

import html
import re

from certcore.testing import Act
from support.django_pages import shown

LIST = "/ssl/certificates/"


def domains(answer):
    """The certificates of a page, in their order."""
    return re.findall(r'name="ids" value="[^"]+" aria-label="([^"]+)"', answer.content.decode())


def test_a_row_says_what_the_document_promises(panel, browser):
    """Domain, CA, the status, the days left, and auto-renewal with its days."""
    panel.active("shop.example", renewal={"days_before": 7})
    text = shown(browser.get(LIST))
    for word in ("shop.example", "Shop CA", "Active", "90 days", "Auto-renew: 7", "Delete"):
        assert word in text, word


def test_a_row_has_the_aliases_and_the_name_of_the_ca_module(panel, browser):
    """The further names of a certificate are below its domain; what the CA module is called, below the CA profile."""
    panel.certificate("shop.example", aliases=["www.shop.example", "bücher.example"])
    text = shown(browser.get(LIST))
    assert "shop.example www.shop.example, bücher.example" in text
    assert f"Shop CA {panel.core.authorities.modules()['scripted'].title}" in text


def test_further_names_are_below_the_domain(panel, browser):
    """The first three, and how many more there are."""
    panel.certificate("shop.example", aliases=[f"{letter}.example" for letter in "abcde"], wildcard=True)
    text = shown(browser.get(LIST))
    assert "*.shop.example, a.example, b.example and 3 more" in text


def test_a_renewal_in_danger_says_so_below_the_status(panel, browser):
    """A certificate is active and in danger at once, and the row says why."""
    panel.active()
    panel.advance(days=85)
    text = shown(browser.get(LIST))
    assert "Active Renewal in danger. The renewal is" in text
    assert "5 days" in text


def test_whom_a_certificate_waits_for_is_said(panel, browser):
    """A row of a pending certificate says that its owner has to act."""
    panel.certificate("shop.example", Act.WAIT_OWNER)
    assert "Pending Owner has to act." in shown(browser.get(LIST))


def test_filters_by_status_condition_and_profile(panel, browser):
    """Each filter of the form leaves those certificates that match it."""
    panel.active("active.example")
    panel.certificate("waits.example", Act.WAIT_OWNER)
    panel.certificate("draft.example")
    assert domains(browser.get(LIST, {"status": "active"})) == ["active.example"]
    assert domains(browser.get(LIST, {"condition": "OwnerActionNeeded"})) == ["waits.example"]
    assert len(domains(browser.get(LIST, {"authority": panel.authority.id}))) == 3
    assert domains(browser.get(LIST, {"days_to": "100"})) == ["active.example"]


def test_a_search_goes_with_filters(panel, browser):
    """By name, by serial number, and together with a status."""
    certificate_id = panel.active("shop.example")
    panel.certificate("shop-draft.example")
    serial = panel.core.certificates.view(certificate_id).active.leaf.serial_hex
    assert domains(browser.get(LIST, {"search": "shop"})) == ["shop-draft.example", "shop.example"]
    assert domains(browser.get(LIST, {"search": serial})) == ["shop.example"]
    assert domains(browser.get(LIST, {"search": "shop", "status": "draft"})) == ["shop-draft.example"]


def test_a_wrong_filter_is_named(browser):
    """A status that is none is refused with a sentence, and the form is there to change it."""
    answer = browser.get(LIST, {"status": "lost"})
    assert answer.status_code == 422
    assert "status:" in shown(answer)
    assert 'name="status"' in answer.content.decode()


def test_pages_and_sorting(panel, browser, settings_of):
    """The links of a page lead through all certificates, in the order that is chosen."""
    names = [f"{letter}.example" for letter in "abcde"]
    for name in names:
        panel.certificate(name)
    seen, address = [], f"{LIST}?descending=1"
    with settings_of(PAGE_SIZE=2):
        for _ in range(5):
            answer = browser.get(address)
            seen += domains(answer)
            link = re.search(r'href="(\?[^"]+)" rel="next"', answer.content.decode())
            if link is None:
                break
            address = LIST + html.unescape(link[1])
    assert seen == names[::-1]


def test_texts_of_others_are_escaped(panel, browser):
    """What a CA or a tenant wrote is text, never HTML."""
    panel.certificate("shop.example", owner="<b>bold</b>")
    page = browser.get(LIST).content.decode()
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


def test_deleting_asks_first_and_tells_each_result(panel, browser):
    """The first post names what would be lost; the second one does it, and each row that stays says why."""
    active, draft = panel.active("active.example"), panel.certificate("draft.example")
    asked = browser.post(f"{LIST}bulk/", {"action": "delete", "ids": [active, draft]})
    assert asked.status_code == 200
    assert panel.core.certificates.get(draft).status == "draft"
    assert "active.example" in shown(asked)
    done = browser.post(f"{LIST}bulk/", {"action": "delete", "ids": [active, draft], "confirmed": "yes"}, follow=True)
    assert "Delete: 2 of 2 done." in shown(done)
    assert domains(done) == []


def test_renewing_many_tells_which_could_not(panel, browser):
    """A draft cannot be renewed: its row says so, and the others are renewed."""
    active, draft = panel.active("active.example"), panel.certificate("draft.example")
    query = "status=&order=domain"
    answer = browser.post(f"{LIST}bulk/", {"action": "renew", "ids": [active, draft], "query": query}, follow=True)
    text = shown(answer)
    assert "Renew: 1 of 2 done." in text
    row = re.search(r'aria-label="draft.example".*?</tr>', answer.content.decode(), re.DOTALL)[0]
    assert '<small class="wrong">' in row
    assert panel.core.certificates.view(active).issuance.purpose == "renew"
    assert "1 of 2" not in shown(browser.get(LIST))


def test_revoking_many_takes_a_reason(panel, browser):
    """The reason of the second page is the one that the CA is told."""
    active = panel.active("active.example")
    asked = browser.post(f"{LIST}bulk/", {"action": "revoke", "ids": [active]})
    assert '<option value="superseded">' in asked.content.decode()
    posted = {"action": "revoke", "ids": [active], "confirmed": "yes", "reason": "superseded"}
    browser.post(f"{LIST}bulk/", posted)
    assert panel.core.certificates.get(active).status == "revoked"


def test_nothing_changes_by_a_get_or_without_a_token(panel):
    """A link cannot change anything, and neither can a form on somebody else's page."""
    otto = panel.user("otto", "SSL operators")
    certificate_id = panel.certificate()
    browser = panel.browser(otto, enforce_csrf_checks=True)
    posted = {"action": "delete", "ids": certificate_id, "confirmed": "yes"}
    assert browser.get(f"{LIST}bulk/", posted).status_code == 405
    assert browser.post(f"{LIST}bulk/", posted).status_code == 403
    assert panel.core.certificates.get(certificate_id).status == "draft"


def test_a_live_list_is_silent_while_nothing_changes(panel, browser):
    """The second look gets 204 and no rows; after a change there are rows again."""
    panel.certificate("shop.example")
    first = browser.get(f"{LIST}rows/")
    seen = {"X-Certcore-Seen": first["X-Certcore-Digest"]}
    assert browser.get(f"{LIST}rows/", headers=seen).status_code == 204
    panel.certificate("blog.example")
    second = browser.get(f"{LIST}rows/", headers=seen)
    assert second.status_code == 200
    assert "blog.example" in second.content.decode()


def test_an_unknown_action_is_not_found(browser):
    """What the page does not offer is not there."""
    assert browser.post(f"{LIST}bulk/", {"action": "explode", "ids": "x"}).status_code == 404
