"""The commands of ``manage.py``, in a project of its own, as an administrator runs them."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import dns.message
import dns.query
import pytest
from attrs import frozen

from certcore import CertCore

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


@pytest.fixture
def project(tmp_path):
    """A project that was set up: keyring, tables, groups."""
    for name, text in (("settings", SETTINGS), ("urls", URLS), ("desk", DESK), ("wsgi", WSGI)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    made = Project(tmp_path)
    for command in ("migrate", "certcore_setup"):
        run = made.manage(command)
        assert run.returncode == 0, run.stderr
    return made


@pytest.mark.slow(reason="starts processes with Django")
def test_setting_up_twice_changes_nothing(project):
    """The keyring, the tables and the groups are made once; the checks find nothing then."""
    keyring = (project.folder / "keyring.json").read_bytes()
    again = project.manage("certcore_setup")
    assert (again.returncode, again.stdout.strip()) == (0, "The SSL section is ready.")
    assert (project.folder / "keyring.json").read_bytes() == keyring
    check = project.manage("check")
    assert check.returncode == 0, check.stderr


@pytest.mark.slow(reason="starts processes with Django")
def test_the_worker_issues_and_ends_with_sigterm(project, tmp_path):
    """A requested certificate gets active, and SIGTERM ends the command with 0."""
    with project.core() as core:
        profile = core.authorities.create("Desk", module="scripted", settings={"api_key": "k"})
        made = core.certificates.create("shop.example", authority=profile.id)
        core.certificates.generate_csr(made.id)
        log = tmp_path / "worker.log"
        worker = project.start("django", "certcore_worker", log=log)
        try:
            wait_for(lambda: core.certificates.get(made.id).status == "active", worker, log)
        finally:
            code = stopped(worker, log)
    assert code == 0, log.read_text()
    assert "Stopped." in log.read_text()


@pytest.mark.slow(reason="starts processes with Django")
def test_the_dns_server_answers_for_the_tech_zone_without_the_keyring(project, tmp_path):
    """It serves the zone of a CA profile, reads the database only, and ends with SIGTERM."""
    with project.core() as core:
        core.authorities.create("ACME", module="puq_acme", settings={"tech_zone": "acme.panel.example"})
    (project.folder / "keyring.json").unlink()
    log = tmp_path / "dns.log"
    server = project.start("django", "certcore_dns", "--listen", "127.0.0.1:0", "--skip-checks", log=log)
    try:
        port = int(wait_for(lambda: re.search(r"127\.0\.0\.1:(\d+)", log.read_text()), server, log)[1])
        query = dns.message.make_query("acme.panel.example", "SOA")
        answer = wait_for(lambda: dns.query.tcp(query, "127.0.0.1", port=port, timeout=10).answer, server, log)
    finally:
        code = stopped(server, log)
    assert "acme.panel.example. " in str(answer[0])
    assert code == 0, log.read_text()


@pytest.mark.slow(reason="starts processes with Django")
def test_one_core_is_shared_by_the_workers_of_a_web_server(project, tmp_path):
    """With gunicorn --preload, the core is opened before the fork, and each worker uses it."""
    log = tmp_path / "gunicorn.log"
    server = project.start(
        "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--timeout", "120", "wsgi", log=log
    )
    try:
        port = wait_for(lambda: re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()), server, log)[1]

        def answer():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/who/", timeout=PATIENCE) as response:
                return response.read().decode().split()

        answers = [answer() for _ in range(4)]
    finally:
        stopped(server, log)
    assert {total for _, total in answers} == {"0"}
    assert str(server.pid) not in {pid for pid, _ in answers}
