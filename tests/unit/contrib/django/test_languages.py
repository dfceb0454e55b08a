"""The pages in the languages of the readers."""

import re

import pytest

from certcore.testing import Act
from support.django_pages import shown


@pytest.mark.parametrize(
    ("language", "title", "status"),
    [
        ("de", "SSL-Zertifikate", "Entwurf"),
        ("fr", "Certificats SSL", "Brouillon"),
        ("pl", "Certyfikaty SSL", "Szkic"),
        ("uk", "Сертифікати SSL", "Чернетка"),
    ],
)
def test_a_page_speaks_one_language(panel, language, title, status):
    """What the browser asks for: the words of the page, and those of certcore in it."""
    panel.certificate("shop.example")
    browser = panel.browser(panel.user("otto", "SSL operators"))
    answer = browser.get("/ssl/certificates/", headers={"Accept-Language": language})
    text = shown(answer)
    assert f'<html lang="{language}"' in answer.content.decode()
    assert title in text
    assert status in text
    assert "Next page" not in text
    assert "All statuses" not in text


def test_numbers_have_the_plural_of_the_language(panel):
    """Ukrainian has three forms, which the days of a leaf show."""
    panel.active("shop.example")
    browser = panel.browser(panel.user("otto", "SSL operators"))
    forms = {}
    for _ in range(7):
        text = shown(browser.get("/ssl/certificates/", headers={"Accept-Language": "uk"}))
        forms |= dict(re.findall(r"\b(\d+) (день|дні|днів)\b", text))
        panel.advance(days=1)
    assert forms["90"] == "днів"
    assert forms["84"] == "дні"


def test_errors_are_translated(panel):
    """A refused filter is explained in the language of the page."""
    browser = panel.browser(panel.user("otto", "SSL operators"))
    answer = browser.get("/ssl/certificates/", {"status": "lost"}, headers={"Accept-Language": "de"})
    english = shown(browser.get("/ssl/certificates/", {"status": "lost"}))
    german = shown(answer)
    note = english[english.index("status:") : english.index("status:") + 40]
    assert note not in german


@pytest.mark.parametrize(
    ("language", "clause"),
    [
        ("en", 'while the certificate has the status "Pending"'),
        ("de", "im Status „Ausstehend“"),
        ("fr", "« En attente »"),
        ("pl", "przy statusie „Oczekujący”"),
        ("uk", "стані «Очікує»"),
    ],
)
def test_why_a_field_is_locked_names_the_status_in_words(panel, language, clause):
    """The sentence has the title of the status in the language of the page, not its name in the database."""
    certificate_id = panel.certificate("shop.example", Act.WAIT_OWNER)
    browser = panel.browser(panel.user("otto", "SSL operators"))
    text = shown(browser.get(f"/ssl/certificates/{certificate_id}/", headers={"Accept-Language": language}))
    assert clause in text
