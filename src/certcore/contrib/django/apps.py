"""The app, which holds the `CertCore` of the process."""

from __future__ import annotations

import threading
from typing import Any

from django.apps import AppConfig, apps
from django.core.signals import setting_changed
from django.db import router
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from certcore.contrib.django.conf import SslSettings, imported, read_settings
from certcore.core import CertCore
from certcore.forks import renew_after_fork
from certcore.translations import Translator

__all__ = ["SslConfig"]


class SslConfig(AppConfig):
    """``certcore.contrib.django`` in INSTALLED_APPS."""

    name = "certcore.contrib.django"
    label = "certcore_ssl"
    verbose_name = _("SSL certificates")

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        self._core: CertCore | None = None
        self._opened_here = False
        self._settings: SslSettings | None = None
        self._translators: dict[str, Translator] = {}
        self.after_fork()

    def ready(self) -> None:
        """Register the checks, and the handler after a migration."""
        from certcore.contrib.django import checks  # noqa: PLC0415 - they import what needs the apps

        checks.register_all()
        if apps.is_installed("django.contrib.auth"):  # this app has no tables, so its own signal is never sent
            post_migrate.connect(_make_groups, sender=apps.get_app_config("auth"), dispatch_uid="certcore_ssl.groups")
        setting_changed.connect(self._setting_changed, dispatch_uid="certcore_ssl.settings")
        renew_after_fork(self)

    def after_fork(self) -> None:
        """A new lock for the child process; the core renews itself."""
        self._lock = threading.RLock()

    def settings(self) -> SslSettings:
        """The setting ``CERTCORE``, read once per process.

        Raises:
            ImproperlyConfigured: It is missing or wrong.
        """
        if self._settings is None:
            self._settings = read_settings()
        return self._settings

    def core(self) -> CertCore:
        """The `CertCore` of this process, opened at the first call; see `certcore.contrib.django.get_core`."""
        core = self._core
        if core is None:
            with self._lock:
                core = self._core
                if core is None:
                    core = self._core = self._open(self.settings())
        return core

    def plugins(self) -> list[Any]:
        """The plugins of the setting ``CERTCORE["PLUGINS"]``.

        Raises:
            ImproperlyConfigured: One of them cannot be imported.
        """
        return [_made(imported("PLUGINS", plugin)) for plugin in self.settings().plugins]

    def translator(self, language: str) -> Translator:
        """Gives the texts of certcore in a language; it is kept for the next call.

        Args:
            language: As Django spells it: ``uk``, ``pt-br``.
        """
        translator = self._translators.get(language)
        if translator is None:
            translator = self._translators[language] = self.core().translator(language)
        return translator

    def close(self) -> None:
        """Close the `CertCore` if it was opened here; the next call opens another one. For tests."""
        with self._lock:
            core, self._core, self._settings = self._core, None, None
            self._translators.clear()
        if core is not None and self._opened_here:
            core.close()

    def _open(self, options: SslSettings) -> CertCore:
        self._opened_here = options.core is None
        if options.core is not None:
            core: CertCore = imported("CORE", options.core)()
            return core
        plugins = self.plugins()
        if options.roles_policy:
            from certcore.contrib.django.roles import policy  # noqa: PLC0415 - it needs the user model

            plugins.insert(0, policy())
        return CertCore.open(
            options.database,
            keyring=options.keyring,
            plugins=plugins,
            installed_plugins=options.installed_plugins,
            pool_size=options.pool_size,
            max_overflow=options.max_overflow,
            migrate=options.migrate,
        )

    def _setting_changed(self, *, setting: str, **_: object) -> None:
        if setting == "CERTCORE":
            self.close()


def _made(plugin: Any) -> Any:
    """A plugin; a class is called."""
    return plugin() if isinstance(plugin, type) else plugin


def _make_groups(*, using: str, **_: object) -> None:
    """After ``migrate``: the groups that give a role."""
    from django.contrib.auth.models import Group  # noqa: PLC0415 - models are there only after the apps

    from certcore.contrib.django.checks import setting_faults  # noqa: PLC0415 - as in `ready`
    from certcore.contrib.django.roles import make_groups  # noqa: PLC0415 - as in `ready`

    if not setting_faults() and router.allow_migrate_model(using, Group):
        make_groups(using)
