"""``manage.py certcore_setup``: create the keyring, the tables and the groups that do not exist yet."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from certcore import CertCore
from certcore.contrib.django.access import config
from certcore.contrib.django.checks import keyring_path
from certcore.contrib.django.roles import make_groups

__all__ = ["Command"]


class Command(BaseCommand):
    """Prepare a project for the SSL section. The command may be run again at any time."""

    help = "Make the keyring, certcore's tables and the groups of the roles, where they are not there yet."
    #: No checks: they would report that the keyring is missing, which this command creates.
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django declares it

    def handle(self, *_: Any, **__: Any) -> None:
        """Create the missing parts, and print which were created."""
        options = config().settings()
        if options.core is None:
            path = keyring_path(options.keyring)
            if path is not None and not path.exists():
                CertCore.create_keyring(path)
                self.stdout.write(f"Made the keyring {path}: keep a copy where the database is not.")
            if CertCore.migrate(options.database):
                self.stdout.write("Made or migrated the tables of certcore.")
        try:
            made = make_groups()
        except (OperationalError, ProgrammingError):
            raise CommandError("Django's tables are not there yet: run manage.py migrate first.") from None
        for name in made:
            self.stdout.write(f"Made the group {name!r}.")
        self.stdout.write("The SSL section is ready.")
