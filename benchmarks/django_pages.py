"""What the pages of the Django app cost at the server, in a fleet of 10,000 certificates.

    python benchmarks/django_pages.py [--certificates 10000] [--requests 50] [--databases sqlite postgresql]

The fleet is that of ``panel.py``. Each figure is the time of a request of Django's test client, in milliseconds:
middleware, session, policy, certcore and templates, without a network. The user is an administrator, who sees the
certificates of everybody; the pages of certificates are of other certificates each time. What other programs take of
the machine is in the elapsed time, not in the CPU time of this process, which is all of the work on SQLite.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.urls import include, path
from panel import database, fill, measured, opened, p95

#: The 95th percentiles that are aimed at, in milliseconds.
TARGETS = {"list": 150, "certificate": 100, "dashboard": 100}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--certificates", type=int, default=10_000)
    options.add_argument("--requests", type=int, default=50)
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    chosen = options.parse_args()
    configure()
    from certcore.contrib.django.roles import policy  # noqa: PLC0415 - it needs the settings

    for kind in chosen.databases:
        with database(kind) as url, opened(url, policy()) as core:
            fill(url, chosen.certificates)
            settings.CERTCORE = {"CORE": lambda core=core: core}
            django.apps.apps.get_app_config("certcore_ssl").close()
            for name, call in pages(chosen.certificates).items():
                wall, cpu = measured(call, chosen.requests)
                target = next((f"; target {most} ms" for word, most in TARGETS.items() if name.startswith(word)), "")
                print(
                    f"{kind:<10} {name:<40} median {statistics.median(wall):7.1f}  p95 {p95(wall):7.1f} ms{target}; "
                    f"CPU of this process: median {statistics.median(cpu):7.1f}  p95 {p95(cpu):7.1f} ms",
                    flush=True,
                )


def configure() -> None:
    """A project with the SSL section, whose users are in memory."""
    settings.configure(
        SECRET_KEY="only for this benchmark",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "certcore.contrib.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "certcore.contrib.django.middleware.SslMiddleware",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        STATIC_URL="static/",
        USE_TZ=True,
        CERTCORE={"CORE": "panel.opened"},
    )
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - it needs the settings

    urlpatterns.append(path("ssl/", include("certcore.contrib.django.urls")))
    call_command("migrate", verbosity=0)


urlpatterns: list[Any] = []


def pages(count: int) -> dict[str, Callable[[], object]]:
    """What is measured, by name; the page of a certificate is that of another one each time."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - it needs the settings
    from django.test import Client  # noqa: PLC0415 - it needs the settings

    chance = random.Random(1)
    users = get_user_model().objects
    client = Client()
    client.force_login(users.filter(username="root").first() or users.create_superuser("root", password="secret"))

    def page(address: str) -> Callable[[], object]:
        def call() -> object:
            answer = client.get(address.format(id=f"{chance.randint(1, count):024}"))
            if answer.status_code != 200:
                raise RuntimeError(f"{address}: {answer.status_code}")
            return answer

        return call

    return {
        "list, first page": page("/ssl/certificates/"),
        "list, overdue": page("/ssl/certificates/?condition=RenewalInDanger&order=not_after"),
        "list, by their end, with a text in a name": page("/ssl/certificates/?search=d00&order=not_after"),
        "list, the live part": page("/ssl/certificates/rows/"),
        "certificate page": page("/ssl/certificates/{id}/"),
        "dashboard": page("/ssl/"),
    }


if __name__ == "__main__":
    main()
