"""Calls of certcore beside the transactions of Django, in one SQLite file that both write."""

import subprocess
import sys
import textwrap

import pytest

from support.django_project import PATIENCE, write_project

#: One file for both, and a transaction around each request.
SHARED = """
    from settings import *

    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": BASE / "certcore.db",
            "ATOMIC_REQUESTS": True,
            "OPTIONS": {"timeout": 20},
        }
    }
"""
PREPARE = """
    import django
    django.setup()

    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import transaction
    from django.test import Client

    from certcore.contrib.django import get_core

    call_command("migrate", verbosity=0)
    root = get_user_model().objects.create_superuser("root", password="secret")
    profile = get_core().authorities.create("Desk", module="scripted", settings={"api_key": "k"})
"""


@pytest.fixture
def run(tmp_path):
    """Runs code in a project whose users are in the file of certcore."""
    project = write_project(tmp_path)
    (tmp_path / "shared.py").write_text(textwrap.dedent(SHARED))

    def run_code(code):
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PREPARE) + textwrap.dedent(code)],
            cwd=tmp_path,
            env={**project.environment, "DJANGO_SETTINGS_MODULE": "shared"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.split()

    return run_code


@pytest.mark.slow(reason="starts processes with Django")
def test_a_call_after_the_commit_does_not_wait_for_itself(run):
    """`transaction.on_commit` is where a call belongs: it sees the panel's row, and nothing is locked."""
    printed = run("""
        with transaction.atomic():
            root.last_name = "changed"
            root.save()
            transaction.on_commit(lambda: get_core().certificates.create("shop.example", authority=profile.id))
            print(len(get_core().certificates.rows().items))
        print(len(get_core().certificates.rows().items))
    """)
    assert printed == ["0", "1"]


@pytest.mark.slow(reason="starts processes with Django")
def test_pages_of_the_section_work_with_atomic_requests(run):
    """The section's views are outside of the transaction of a request, which would lock the file against certcore."""
    printed = run("""
        made = get_core().certificates.create("shop.example", authority=profile.id)
        browser = Client()
        browser.force_login(root)
        posted = {"action": "delete", "ids": made.id, "confirmed": "yes"}
        print(browser.post("/ssl/certificates/bulk/", posted, HTTP_HOST="127.0.0.1").status_code)
        print(len(get_core().certificates.rows().items))
    """)
    assert printed == ["302", "0"]


@pytest.mark.slow(reason="starts processes with Django")
def test_the_check_tells_of_a_file_that_both_write(run):
    """`manage.py check` warns of ATOMIC_REQUESTS on certcore's file."""
    printed = run("""
        from django.core import checks

        print(*(message.id for message in checks.run_checks(tags=["certcore"])))
    """)
    assert printed == ["certcore.W004"]
