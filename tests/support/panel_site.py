"""A Django panel with the SSL section, as people install it: a project in a folder, served by a process of its own.

Around it, all on loopback: Pebble, the tech zone's DNS server with a customer's zone, and a worker.
"""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import define, field

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.hints import DnsRecords
from certcore.testing import MemoryZone, Pebble
from certcore.testing.server import Child
from support.databases import sqlite_with_tables
from support.django_panel import INSTALLED_APPS, MIDDLEWARE
from support.leaves import bought

__all__ = ["PASSWORD", "PanelSite", "open_panel_site"]

PASSWORD = "correct horse battery staple"
TECH_ZONE = "acme.panel.test"
#: Seconds that an issuance may take: a loaded machine is slow, not wrong.
_PATIENCE = 120

_MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

#: With the apps and the middleware of the example panel.
_SETTINGS = (
    f"INSTALLED_APPS, MIDDLEWARE = {INSTALLED_APPS!r}, {MIDDLEWARE!r}\n"
    """
from datetime import UTC, datetime, timedelta
from pathlib import Path

BASE = Path(__file__).parent
SECRET_KEY = "only for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # people of tests sign in often
DEBUG = True  # the development server gives out static files
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "site_urls"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [BASE / "templates"],
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "site.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
USE_I18N = USE_TZ = True
TIME_ZONE = "UTC"
LOGIN_REDIRECT_URL = "/ssl/"
CERTCORE = {
    "DATABASE": f"sqlite:///{BASE / 'certcore.db'}", "KEYRING": str(BASE / "keyring.json"), "REFRESH_SECONDS": 2,
}
"""
)

_URLS = """
from django.urls import include, path

urlpatterns = [
    path("accounts/", include("django.contrib.auth.urls")),
    path("ssl/", include("certcore.contrib.django.urls")),
]
"""

_LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title><link rel="icon" href="data:,">
<main><h1>Sign in</h1><form method="post">{% csrf_token %}{{ form.as_p }}<button>Sign in</button></form></main></html>
"""

_USERS = """
import os, django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import Group, User
for name, groups, is_superuser in {users!r}:
    user = User.objects.create_user(name, password={password!r}, is_superuser=is_superuser, is_staff=is_superuser)
    for group in groups:
        user.groups.add(Group.objects.get(name=group))
    print(name, user.pk)
"""


@define(eq=False)
class PanelSite:
    """The site, and what its people and their domains' DNS do behind it."""

    folder: Path
    core: CertCore
    zone: MemoryZone
    base_url: str = ""
    #: What each user's certificates belong to.
    owners: dict = field(factory=dict)
    #: What a CA profile needs to know to issue from Pebble.
    settings: dict = field(factory=dict)
    #: The CA profile that issues from Pebble.
    authority: object = None
    pebble: Pebble | None = None

    @classmethod
    def lay_out(cls, folder):
        """Write the project, and open its store."""
        for name, text in {
            "manage.py": _MANAGE,
            "site_settings.py": _SETTINGS,
            "site_urls.py": _URLS,
            "templates/registration/login.html": _LOGIN,
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        keyring = folder / "keyring.json"
        CertCore.create_keyring(keyring)
        # Answers are kept for no time: what the owner sets or removes is seen at the next look.
        zone = MemoryZone("test", ttl=1, negative_ttl=0)
        return cls(folder, CertCore.open(sqlite_with_tables(folder), keyring=keyring), zone)

    def run(self, script):
        """Run Python code in the project's folder; gives what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serve(self):
        """Start the web server; gives the child process, and `base_url` is set."""
        child = Child(
            sys.executable,
            [str(self.folder / "manage.py"), "runserver", "--noreload", "127.0.0.1:0"],
            folder=Path(tempfile.mkdtemp(prefix="certcore-site-")),
            env={"PYTHONUNBUFFERED": "1", "DJANGO_RUNSERVER_HIDE_WARNING": "true"},
        )

        def listening():
            found = re.search(r"server at (http://127\.0\.0\.1:\d+)/", child.log_path.read_text(errors="replace"))
            self.base_url = found[1] if found else ""
            return bool(found)

        assert child.wait_until(listening), child.log_tail()
        return child

    def profile(self, name, **settings):
        """A CA profile that issues from Pebble, with other settings where they are given."""
        return self.core.authorities.create(name, module="puq_acme", settings={**self.settings, **settings})

    def records(self, certificate_id):
        """The CNAME records that the page of a certificate asks its owner for."""
        hints = self.core.certificates.hints(certificate_id)
        return [row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows]

    def set_cnames(self, certificate_id):
        """What the owner of the domain does, once."""
        for row in self.records(certificate_id):
            self.zone.set(row.name, row.type, row.value)

    def draft(self, domain, user, **fields):
        """The id of a draft of a user."""
        return self.core.certificates.create(
            domain, **{"authority": self.authority.id, "owner": self.owners[user], **fields}
        ).id

    def pending(self, domain, user, **fields):
        """The id of a certificate of a user whose CNAME is not set yet."""
        return self.core.certificates.generate_csr(self.draft(domain, user, **fields)).id

    def issued(self, domain, user, **fields):
        """The id of a certificate of a user that Pebble has issued."""
        certificate_id = self.pending(domain, user, **fields)
        self.set_cnames(certificate_id)
        self.core.certificates.check_now(certificate_id)
        self.until(lambda: self.status(domain) is Status.ACTIVE)
        return certificate_id

    def imported(self, domain, user, *, days):
        """The id of a certificate of a user, of another CA and without a CA profile, that ends in so many days."""
        leaf, key = _other_leaf(domain, days)
        return self.core.certificates.import_certificate(leaf, key, owner=self.owners[user]).id

    def in_danger(self, domain, user):
        """The id of a certificate of a user that ends tomorrow; its renewal waits since nine days."""
        leaf, key = _other_leaf(domain, 1)
        with CertCore.open(
            sqlite_with_tables(self.folder), keyring=self.folder / "keyring.json", environment=_NineDaysAgo()
        ) as core:
            wished = {"authority": self.authority.id, "owner": self.owners[user], "renewal": {"days_before": 30}}
            return core.certificates.import_certificate(leaf, key, **wished).id

    def until(self, condition):
        """Wait for what the worker does, and give what the condition gave."""
        deadline = time.monotonic() + _PATIENCE
        while not (seen := condition()):
            assert time.monotonic() < deadline, [
                (str(one.domain), str(one.status), str(one.problem)) for one in self.core.certificates.list().items
            ]
            time.sleep(0.1)
        return seen

    def certificate(self, domain):
        """The certificate of a domain."""
        (found,) = self.core.certificates.list(search=domain).items
        return found

    def status(self, domain):
        """Its status."""
        return Status(self.certificate(domain).status)


class _NineDaysAgo(SystemEnvironment):
    """The system's IDs, which no other certificate has, and an earlier clock."""

    def now(self):
        """The moment nine days ago."""
        return super().now() - timedelta(days=9)


def _other_leaf(domain, days):
    """A leaf of a CA that nobody knows here, which ends in so many days, and its private key."""
    return bought(domain, now=datetime.now(UTC) + timedelta(days=days - 90))


@contextlib.contextmanager
def open_panel_site(folder, users):
    """A site with these users, running; users are triples: name, groups, whether a superuser."""
    with contextlib.ExitStack() as running:
        site = PanelSite.lay_out(folder)
        running.callback(site.core.close)
        dns = site.core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[site.zone])
        running.callback(dns.close)
        dns_address = f"127.0.0.1:{dns.address[1]}"
        site.pebble = pebble = running.enter_context(Pebble.start(dns_server=dns_address))
        printed = site.run(_USERS.format(users=users, password=PASSWORD))
        site.owners = dict(line.split() for line in printed.splitlines())
        site.settings = {
            "ca": "custom",
            "directory_url": pebble.directory_url,
            "trusted_roots": pebble.roots_pem,
            "terms_agreed": True,
            "email": "ca@panel.test",
            "tech_zone": TECH_ZONE,
            "tech_zone_nameservers": [f"ns.{TECH_ZONE} 127.0.0.1"],
            "dns_servers": [dns_address],
        }
        site.authority = site.profile("Pebble")
        worker = site.core.worker(threads=2, in_flight=4, preflights=False)
        worker.start()
        running.callback(worker.stop)
        web = site.serve()
        running.callback(web.stop)
        yield site
