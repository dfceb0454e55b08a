"""The CA modules under examples in the Django app, which knows none of them."""

import pytest
from django.test import override_settings

from certcore import CertCore
from certcore.contrib.django.roles import policy
from certcore.testing import FrozenEnvironment, LittleAuthority
from certcore_local_ca import plugin as local_ca
from certcore_manual_ca import plugin as manual_ca
from certcore_rest_ca import plugin as rest_ca
from certcore_rest_ca.server import serve
from certcore_rest_ca.service import CAService
from support.django_pages import page, text


@pytest.fixture
def server(environment):
    """The CA with approval."""
    with serve(CAService(environment.now), {"panel": "token-of-the-panel"}) as server:
        yield server


@pytest.fixture
def environment():
    return FrozenEnvironment()


@pytest.fixture
def core(environment, django_tables):
    """The core of the panel."""
    plugins = [local_ca, manual_ca, rest_ca, policy()]
    options = {"installed_plugins": False, "environment": environment}
    with CertCore.in_memory(plugins=plugins, **options) as core, override_settings(CERTCORE={"CORE": lambda: core}):
        yield core


@pytest.fixture
def browser(core):
    """A browser of an administrator."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ada", password="secret"))
    return client


def _requested(core, module, settings):
    authority = core.authorities.create(module, module=module, settings=settings)
    certificate = core.certificates.create("shop.example", authority=authority.id)
    core.certificates.generate_csr(certificate.id)
    core.reconcile(certificate.id)
    return certificate.id


def test_a_chain_is_uploaded_on_the_page(core, browser, environment):
    """CSR as a file, steps, a form for the chain with what is wrong beside its field, and an active certificate."""
    certificate_id = _requested(core, "manual_ca", {"ca_name": "Town Hall CA"})
    shown = text(browser.get(page(certificate_id)))
    assert "Town Hall CA" in shown
    assert "Upload the chain" in shown
    csr = browser.get(page(certificate_id, "files/shop.example.csr")).content.decode()
    address = page(certificate_id, "actions/upload_chain/")
    assert '<textarea id="field-chain"' in text(browser.get(address))
    refused = browser.post(address, {"chain": "Dear customer"})
    assert refused.status_code == 422
    assert "no certificate" in text(refused)
    chain = LittleAuthority(environment.now()).issue(csr, now=environment.now())
    assert browser.post(address, {"chain": chain}).status_code == 302
    core.reconcile(certificate_id)
    assert "Active" in text(browser.get(page(certificate_id)))


def test_a_private_ca_hands_out_its_files_on_the_page(core, browser):
    """Root, issuing CA and CRL are beside the certificate, as attachments."""
    certificate_id = _requested(core, "local_ca", {"permitted_domains": ["shop.example"]})
    shown = text(browser.get(page(certificate_id)))
    assert "Active" in shown
    for file in core.certificates.files(certificate_id):
        assert file.name in shown
        answer = browser.get(page(certificate_id, f"files/{file.name}"))
        assert answer.content == file.content
        assert answer["Content-Disposition"] == f'attachment; filename="{file.name}"'


def test_an_order_that_waits_for_approval_is_shown(core, browser, server):
    """The page says who has to act, and under which name the CA has the order; then the certificate is active."""
    certificate_id = _requested(core, "rest_ca", {"url": server.url, "token": "token-of-the-panel"})
    shown = text(browser.get(page(certificate_id)))
    (order,) = server.service.pending()
    assert order.id in shown
    assert "waits for an administrator" in shown
    assert "token-of-the-panel" not in shown
    server.service.approve("panel", order.id)
    assert browser.post(page(certificate_id, "actions/check_now/")).status_code == 302
    core.reconcile(certificate_id)
    assert "Active" in text(browser.get(page(certificate_id)))


#: What the pages of the private CA say: the CA profile's form and right column, a file, an action, a refused name.
WORDS = {
    "en": ("Permitted domains", "Issuing CA 0001", "CRL of the root", "Replace the issuing CA", "must not certify"),
    "de": (
        "Erlaubte Domains",
        "Ausstellende CA 0001",
        "CRL der Wurzel",
        "Ausstellende CA ersetzen",
        "nicht zertifizieren",
    ),
    "uk": ("Дозволені домени", "CA-видавець 0001", "CRL кореня", "Замінити CA-видавця", "не може сертифікувати"),
}


@pytest.mark.parametrize("language", WORDS)
def test_a_plugin_speaks_the_languages_of_its_catalogues(core, browser, language):
    """Form, right column, files, actions and errors of the private CA, which certcore has no translations of."""
    certificate_id = _requested(core, "local_ca", {"permitted_domains": ["shop.example"]})
    (profile,) = core.authorities.list()
    headers = {"Accept-Language": language}
    new = {"domain": "evil.example", "authority": profile.id}
    answers = [
        browser.get(f"/ssl/authorities/{profile.id}/", headers=headers),
        browser.get(page(certificate_id), headers=headers),
        browser.post("/ssl/certificates/new/", new, headers=headers),
    ]
    shown = "".join(map(text, answers))
    assert [word for word in WORDS[language] if word not in shown] == []
    others = {word for other in WORDS if other != language for word in WORDS[other]}
    assert [word for word in others if word in shown] == []


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ("Kette hochladen", "zu Town Hall CA bringen")),
        ("uk", ("Завантажити ланцюжок", "передати до Town Hall CA")),
    ],
)
def test_buttons_and_steps_of_a_plugin_are_translated(core, browser, language, words):
    """The steps of a CA by hand and the buttons of its actions."""
    certificate_id = _requested(core, "manual_ca", {"ca_name": "Town Hall CA"})
    shown = text(browser.get(page(certificate_id), headers={"Accept-Language": language}))
    assert [word for word in words if word not in shown] == []
    assert "Upload the chain" not in shown
