"""The Django app. It holds the `CertCore` of the process."""

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
    """The configuration of the app, for ``"certcore.contrib.django"`` in INSTALLED_APPS."""

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
        """Register the checks and the signal handlers."""
        from certcore.contrib.django import checks  # noqa: PLC0415 - only needed here

        checks.register_all()
        if apps.is_installed("django.contrib.auth"):  # this app has no tables, so its own signal is never sent
            post_migrate.connect(_make_groups, sender=apps.get_app_config("auth"), dispatch_uid="certcore_ssl.groups")
        setting_changed.connect(self._setting_changed, dispatch_uid="certcore_ssl.settings")
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Create a new lock in the child process; `CertCore` does the same for its own state."""
        self._lock = threading.RLock()

    def settings(self) -> SslSettings:
        """Return the setting ``CERTCORE``, which is read once per process.

        Raises:
            ImproperlyConfigured: The setting is missing or wrong.
        """
        if self._settings is None:
            self._settings = read_settings()
        return self._settings

    def core(self) -> CertCore:
        """Return the `CertCore` of this process; the first call opens it. See `certcore.contrib.django.get_core`."""
        core = self._core
        if core is None:
            with self._lock:
                core = self._core
                if core is None:
                    core = self._core = self._open(self.settings())
        return core

    def plugins(self) -> list[Any]:
        """Return the plugins of the setting ``CERTCORE["PLUGINS"]``.

        Raises:
            ImproperlyConfigured: A plugin cannot be imported.
        """
        return [_made(imported("PLUGINS", plugin)) for plugin in self.settings().plugins]

    def translator(self, language: str) -> Translator:
        """Return the translator of certcore's texts to a language; it is cached until `close`.

        Args:
            language: The language as Django spells it: ``uk``, ``pt-br``.
        """
        translator = self._translators.get(language)
        if translator is None:
            translator = self._translators[language] = self.core().translator(language)
        return translator

    def close(self) -> None:
        """Forget the settings and the `CertCore`, and close it unless ``CERTCORE["CORE"]`` returned it. For tests."""
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
            from certcore.contrib.django.roles import policy  # noqa: PLC0415 - only needed here

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
    """Return a plugin; if it is a class, call the class without arguments."""
    return plugin() if isinstance(plugin, type) else plugin


def _make_groups(*, using: str, **_: object) -> None:
    """After ``migrate``, create the groups that give a role."""
    from django.contrib.auth.models import Group  # noqa: PLC0415 - the apps must be loaded first

    from certcore.contrib.django.checks import setting_faults  # noqa: PLC0415 - as in `ready`
    from certcore.contrib.django.roles import make_groups  # noqa: PLC0415 - as in `ready`

    if not setting_faults() and router.allow_migrate_model(using, Group):
        make_groups(using)
