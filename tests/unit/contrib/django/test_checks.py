"""``manage.py check`` names what is misconfigured."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.core import checks
from django.test import override_settings

from certcore import CertCore
from support.django_panel import MIDDLEWARE
from support.django_project import PATIENCE

pytestmark = pytest.mark.usefixtures("django_tables")


def found(**settings):
    """The ids and texts that the checks of the app give under these settings."""
    with override_settings(**settings):
        return {message.id: f"{message.msg} {message.hint or ''}" for message in checks.run_checks(tags=["certcore"])}


@pytest.fixture
def good(tmp_path):
    """A setting that works."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    return {"DATABASE": f"sqlite:///{tmp_path}/certcore.db", "KEYRING": str(tmp_path / "keyring.json")}


def test_a_working_project_has_nothing_to_complain_about(good):
    """No false alarm."""
    assert found(CERTCORE=good) == {}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"DATABASE": ""}, "CERTCORE['DATABASE'] is missing"),
        ({"KEYRING": None}, "CERTCORE['KEYRING'] is missing"),
        ({"DATABSE": "sqlite:///x.db"}, "CERTCORE has no setting 'DATABSE'"),
        ({"PAGE_SIZE": 0}, "CERTCORE['PAGE_SIZE']"),
        ({"PAGE_SIZE": True}, "CERTCORE['PAGE_SIZE']"),
        ({"MIGRATE": "no"}, "CERTCORE['MIGRATE']"),
        ({"PLUGINS": "plugin"}, "CERTCORE['PLUGINS']"),
        ({"ROLES": {"boss": ["staff"]}}, "no role 'boss'"),
        ({"ROLES": {"viewer": "staff"}}, "CERTCORE['ROLES']['viewer']"),
    ],
)
def test_a_wrong_setting_is_named(good, changes, word):
    """Each mistake is a sentence with the name of the setting."""
    assert word in found(CERTCORE={**good, **changes})["certcore.E001"]


def test_a_missing_setting_is_named():
    """A project without CERTCORE is told what to write."""
    assert "DATABASE and KEYRING" in found(CERTCORE=None)["certcore.E001"]


def test_a_missing_keyring_is_named(good, tmp_path):
    """The path is in the message, and what makes the file."""
    message = found(CERTCORE={**good, "KEYRING": str(tmp_path / "other.json")})["certcore.W006"]
    assert "other.json" in message
    assert "certcore_setup" in message


@pytest.mark.parametrize("keyring", ["env:PANEL_KEYRING", "pkcs11:token=panel"])
def test_keyrings_that_are_no_files_are_not_looked_for(good, keyring):
    """Only a path can be missing before it is used."""
    assert found(CERTCORE={**good, "KEYRING": keyring}) == {}


def test_what_cannot_be_imported_is_named(good):
    """The owner, a plugin: the dotted path and the reason."""
    for changes in ({"OWNER": "panel.nobody"}, {"PLUGINS": ["panel.nothing"]}):
        assert "panel.no" in found(CERTCORE={**good, **changes})["certcore.E005"]


def test_an_owner_that_cannot_be_called_is_named(good):
    """A module in the place of a function is found before the first request."""
    assert "cannot be called" in found(CERTCORE={**good, "OWNER": "certcore.contrib.django"})["certcore.E005"]


def test_a_missing_or_early_middleware_is_named(good):
    """Without it there is no policy; before the sign-in it would send everybody away."""
    assert "is missing" in found(CERTCORE=good, MIDDLEWARE=MIDDLEWARE[:-1])["certcore.E003"]
    assert "after" in found(CERTCORE=good, MIDDLEWARE=[MIDDLEWARE[-1], *MIDDLEWARE[:-1]])["certcore.E003"]


def test_a_password_that_debug_pages_would_show_is_named(good):
    """DEBUG shows settings on error pages."""
    settings = {**good, "DATABASE": "postgresql://panel:hunter2@localhost/panel"}
    message = found(CERTCORE=settings, DEBUG=True)["certcore.W003"]
    assert "hunter2" not in message


def test_a_sign_in_that_leads_nowhere_is_named(good):
    """Nobody could sign in to the section."""
    assert "'/nowhere/'" in found(CERTCORE=good, LOGIN_URL="/nowhere/")["certcore.W002"]


def test_templates_that_are_not_found_are_named(good):
    """A project whose TEMPLATES do not look into apps is told so."""
    templates = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
    assert "APP_DIRS" in found(CERTCORE=good, TEMPLATES=templates)["certcore.E004"]


@pytest.mark.slow(reason="starts a process with Django")
def test_the_example_panel_can_be_deployed_as_it_is(tmp_path):
    """`manage.py check --deploy` has nothing to say about the settings that people copy."""
    example = Path(__file__).parents[4] / "examples/panel"
    CertCore.create_keyring(tmp_path / "keyring.json")
    checked = subprocess.run(
        [sys.executable, str(example / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"],
        env={**os.environ, "PANEL_FOLDER": str(tmp_path), "PANEL_SECRET_KEY": secrets.token_urlsafe(50)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
