"""A Django project with the SSL section in a folder of its own, and its processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from attrs import frozen

from certcore import CertCore

__all__ = ["PATIENCE", "Project", "stopped", "wait_for", "write_project"]

#: Seconds that a process has for whatever it is waited for.
PATIENCE = 120

SETTINGS = """
    from pathlib import Path

    BASE = Path(__file__).parent
    SECRET_KEY = "only for tests"
    ALLOWED_HOSTS = ["127.0.0.1"]
    ROOT_URLCONF = "urls"
    INSTALLED_APPS = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "certcore.contrib.django",
    ]
    MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "certcore.contrib.django.middleware.SslMiddleware",
    ]
    TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "panel.db"}}
    STATIC_URL = "static/"
    USE_TZ = True
    CERTCORE = {
        "DATABASE": f"sqlite:///{BASE}/certcore.db",
        "KEYRING": str(BASE / "keyring.json"),
        "PLUGINS": ["desk.plugin"],
    }
"""
URLS = """
    import os

    from django.http import HttpResponse
    from django.urls import include, path

    from certcore.contrib.django import get_core


    def who(request):
        return HttpResponse(f"{os.getpid()} {get_core().certificates.counts(max_age=0).total}")


    urlpatterns = [
        path("who/", who),
        path("accounts/", include("django.contrib.auth.urls")),
        path("ssl/", include("certcore.contrib.django.urls")),
    ]
"""
DESK = """
    from datetime import UTC, datetime

    from certcore.testing import Act, ScriptedCA

    plugin = ScriptedCA([Act.ISSUE], now=datetime.now(UTC)).plugin()
"""
WSGI = """
    from django.core.wsgi import get_wsgi_application

    from certcore.contrib.django import get_core

    application = get_wsgi_application()
    get_core().certificates.counts()  # before the fork
"""


@frozen
class Project:
    """A folder with a Django project."""

    folder: Path

    @property
    def environment(self):
        return {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONUNBUFFERED": "1",
        }

    def manage(self, *arguments):
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *command, log):
        """Start a process that writes into a file."""
        with log.open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )

    def core(self):
        return CertCore.open(
            f"sqlite:///{self.folder}/certcore.db",
            keyring=self.folder / "keyring.json",
            plugins=[_desk(self.folder)],
        )


def _desk(folder):
    names = {}
    exec((folder / "desk.py").read_text(), names)
    return names["plugin"]


def wait_for(condition, process, log):
    """What a condition gives, as soon as it is true; the process has to live until then."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"it did not happen in {PATIENCE} seconds: {log.read_text()}")


def stopped(process, log):
    """The exit code after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)


def write_project(folder):
    """The project, set up: keyring, tables, groups."""
    for name, text in (("settings", SETTINGS), ("urls", URLS), ("desk", DESK), ("wsgi", WSGI)):
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    project = Project(folder)
    for command in ("migrate", "certcore_setup"):
        run = project.manage(command)
        assert run.returncode == 0, run.stderr
    return project
