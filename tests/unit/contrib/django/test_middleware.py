"""What the answers of the section carry, and how errors look."""

import json


def test_pages_have_a_strict_policy(browser):
    """No script and no style but those of files of this host; nobody frames the page; nothing is kept."""
    answer = browser.get("/ssl/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    page = answer.content.decode()
    assert "<script>" not in page
    assert " onclick" not in page
    assert "<style" not in page


def test_other_pages_of_the_panel_are_left_alone(browser):
    """The policy is for the section: a page of the panel keeps its own."""
    assert browser.get("/nowhere/").headers.get("Content-Security-Policy") is None


def test_an_error_is_a_page_with_its_status(panel, browser):
    """A cursor of another list, and an error of certcore in a view: sentences, not a stack."""
    from django.test import RequestFactory

    from certcore import NotFoundError
    from certcore.contrib.django import SslMiddleware

    middleware = SslMiddleware(lambda request: None)
    answer = middleware.process_exception(RequestFactory().get("/ssl/"), NotFoundError("certificate", "<b>x</b>"))
    assert answer.status_code == 404
    assert "There is no certificate" in answer.content.decode()
    assert "<b>x</b>" not in answer.content.decode()


def test_programs_get_json(panel):
    """Whoever asks for JSON gets the document of the error."""
    from django.test import RequestFactory

    from certcore import InvalidInputError
    from certcore.contrib.django import SslMiddleware

    middleware = SslMiddleware(lambda request: None)
    request = RequestFactory().get("/ssl/", headers={"Accept": "application/json"})
    answer = middleware.process_exception(request, InvalidInputError("domain", "is empty."))
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/json")
    assert json.loads(answer.content)["error"]["code"] == "invalid_input"


def test_errors_of_others_are_left_to_django(panel):
    """Only what certcore raises is answered."""
    from django.test import RequestFactory

    from certcore.contrib.django import SslMiddleware

    assert SslMiddleware(lambda request: None).process_exception(RequestFactory().get("/"), ValueError()) is None


def test_an_error_page_says_by_its_title_what_it_is(panel):
    """Not found, not allowed with what it takes, or not possible: each in the frame of the section, with a way on."""
    viewer = panel.browser(panel.user("vera", "SSL viewers"))
    for address, status, title in (
        ("/ssl/certificates/nobody/", 404, "Not found"),
        ("/ssl/certificates/nobody/actions/explode/", 404, "Not found"),
        (f"/ssl/certificates/{panel.active()}/pem/nothing/", 404, "Not found"),
        ("/ssl/certificates/new/", 403, "Not allowed"),
    ):
        answer = viewer.get(address)
        page = answer.content.decode()
        assert answer.status_code == status
        assert f"<h1>{title}</h1>" in page
        assert 'href="/ssl/certificates/"' in page
        assert answer["Content-Security-Policy"]
    assert "Permission needed: Create a certificate" in page


def test_an_unknown_address_of_the_panel_is_left_to_the_panel(browser):
    """Only the section answers in its own frame."""
    answer = browser.get("/nowhere/")
    assert answer.status_code == 404
    assert "SSL Manager" not in answer.content.decode()
