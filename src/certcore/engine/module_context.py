"""Build the arguments of CA module calls: profile with opened secrets, documents and environment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from attrs import Factory, evolve, field, fields, frozen

from certcore.engine.module_store import OpenStep, StoredDocuments
from certcore.forks import renew_after_fork
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.form import fields_of, secret_fields, structure, unstructure
from certcore.model.issuance import Issuance
from certcore.model.listing import CertificateFilter, Position, SortKey
from certcore.model.order_limit import MOST_REFUSALS, OrderLimit
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret, SecretName
from certcore.model.standing import Attempt
from certcore.model.views import Page
from certcore.ports.ca_module import CAModule, Documents, ModuleContext, Work
from certcore.ports.environment import Environment
from certcore.ports.module_actions import ActionWork
from certcore.ports.plugins import Plugins
from certcore.ports.sealing import Vault
from certcore.ports.storage import Storage

__all__ = [
    "Contexts",
    "handed_out",
    "plain_settings",
    "read_settings",
    "secrets_in",
    "setting_secret_name",
]

#: How many certificates are on a page that a module asks for.
_WAITING_PAGE: Final = 100


def setting_secret_name(authority_id: str, setting: str) -> SecretName:
    """The name under which a secret setting is sealed."""
    return SecretName("authority-setting", f"{authority_id}/{setting}")


def read_settings(module: str, settings_type: type, values: Mapping[str, Any]) -> Any:
    """Build an instance of a module's settings class from user input or stored values.

    Raises:
        InvalidInputError: A field is unknown, missing or wrong.
        PluginError: The class raised another exception.
    """
    return call_plugin(module, settings_type.__name__, structure, settings_type, values, returns=Any)


def plain_settings(module: str, settings: object) -> dict[str, Any]:
    """Convert settings to plain JSON, without the secret fields.

    Raises:
        PluginError: A value cannot be converted.
    """
    plain: dict[str, Any] = call_plugin(module, type(settings).__name__, unstructure, settings, returns=dict)
    return plain


def handed_out(issuance: Issuance) -> Issuance:
    """A copy of an issuance for a plugin, so that the plugin's changes to state and findings have no effect."""
    return evolve(issuance, module_state=_copied(issuance.module_state), findings=_copied(issuance.findings))


def _copied(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A deep copy of a JSON object; `copy.deepcopy` takes three times as long."""
    if not document:
        return None if document is None else {}
    copied: dict[str, Any] = json.loads(json.dumps(document, default=dict))
    return copied


def secrets_in(profile: object) -> tuple[Secret, ...]:
    """The values of a profile's secret fields."""
    values = (getattr(profile, name) for name in secret_fields(type(profile)))
    return tuple(value for value in values if isinstance(value, Secret))


@frozen(kw_only=True, eq=False)
class Contexts:
    """Builds module contexts and caches opened profiles until they are edited."""

    storage: Storage
    vault: Vault
    plugins: Plugins
    environment: Environment
    _profiles: dict[str, tuple[int, Any]] = field(factory=dict, repr=False, init=False)
    _lock: Any = field(default=Factory(threading.Lock), repr=False, init=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`."""
        object.__setattr__(self, "_lock", threading.Lock())

    def documents(self, module: CAModule[Any, Any], step: OpenStep | None = None) -> Documents:
        """The module's own store; in a step, writes are refused once the step's lease is lost."""
        return StoredDocuments(self.storage, self.vault, module.name, step)

    def open_secrets(self, authority: CertificateAuthority) -> dict[str, Secret]:
        """Open the secret settings of a profile.

        Raises:
            SealingError: A setting cannot be opened.
        """
        opened: dict[str, Secret] = {}
        for setting in sorted(authority.secrets_set):
            name = setting_secret_name(authority.id, setting)
            with self.storage.read() as transaction:
                sealed = transaction.secrets.get(name)
            if sealed is not None:
                opened[setting] = self.vault.open(sealed, name)
        return opened

    def profile(self, authority: CertificateAuthority) -> Any:
        """The profile as an instance of the module's ``profile_type``, with opened secrets.

        Raises:
            UnknownModuleError: The module is not loaded.
            InvalidInputError: The stored settings are no longer valid for this module.
            PluginError: The module's class failed.
        """
        with self._lock:
            version, profile = self._profiles.get(authority.id, (0, None))
        if version != authority.version:
            module = self.plugins.module(authority.module)
            settings = {**authority.settings, **self.open_secrets(authority)}
            profile = read_settings(authority.module, module.profile_type, settings)
            with self._lock:
                self._profiles[authority.id] = (authority.version, profile)
        return profile

    def forget(self, authority_id: str) -> None:
        """Drop a deleted profile from the cache."""
        with self._lock:
            self._profiles.pop(authority_id, None)

    def context(
        self, authority: CertificateAuthority, step: OpenStep | None = None
    ) -> tuple[CAModule[Any, Any], ModuleContext]:
        """The module of a profile and the context of its calls."""
        module = self.plugins.module(authority.module)
        return module, ModuleContext(
            authority_id=authority.id,
            profile=self.profile(authority),
            documents=self.documents(module, step),
            environment=self.environment,
            zone_writers=self.plugins.zone_writers,
            controls_name=self.plugins.controls_name,
            waiting_for_administrator=partial(self._waiting, authority.id),
        )

    def holds_from_start(self, authority_id: str | None, authorities: Iterable[CertificateAuthority]) -> bool:
        """Whether issuances of a CA profile need a clean-up from their first step on.

        False if the profile was deleted or its module is not loaded. The first step then reports that.

        Args:
            authority_id: The CA profile.
            authorities: All CA profiles that are known.
        """
        modules = (self.plugins.modules.get(each.module) for each in authorities if each.id == authority_id)
        return any(module is not None and module.needs_clean_up for module in modules)

    def _waiting(self, authority_id: str, after: str | None) -> Page:
        """A page of the certificates of a CA profile that wait for an administrator.

        Raises:
            InvalidInputError: The cursor does not come from such a page.
        """
        only = CertificateFilter(authority_id=authority_id, attempt=Attempt.ADMINISTRATOR)
        position = None if after is None else Position.parse(after, SortKey.DOMAIN, descending=False)
        with self.storage.read() as transaction:
            rows = transaction.certificates.page(only=only, after=position, limit=_WAITING_PAGE + 1)
        items = tuple(rows[:_WAITING_PAGE])
        is_last = len(rows) <= _WAITING_PAGE
        cursor = None if is_last else Position.of(items[-1], SortKey.DOMAIN).cursor(SortKey.DOMAIN, descending=False)
        return Page(items=items, next_cursor=cursor)

    def settings(self, module: CAModule[Any, Any], authority: CertificateAuthority, certificate: Certificate) -> Any:
        """The certificate's module settings; settings of another module are ignored.

        Raises:
            InvalidInputError: The settings are invalid.
        """
        data = certificate.module_data
        if authority.id != certificate.authority_id:  # a fallback; it may be of another module
            known = {field.name for field in fields_of(module.certificate_type)}
            data = {name: value for name, value in data.items() if name in known}
        return read_settings(authority.module, module.certificate_type, data)

    def work(
        self,
        authority: CertificateAuthority,
        certificate: Certificate,
        issuance: Issuance,
        *,
        active: Issuance | None = None,
        step: OpenStep | None = None,
        orders: OrderLimit | None = None,
    ) -> tuple[CAModule[Any, Any], Work]:
        """The module of a profile and the `Work` for one issuance."""
        module, context = self.context(authority, step)
        return module, Work(
            **{each.name: getattr(context, each.name) for each in fields(ModuleContext) if each.name != "owner"},
            owner=certificate.owner,
            certificate=certificate,
            issuance=handed_out(issuance),
            settings=self.settings(module, authority, certificate),
            active=None if active is None else handed_out(active),
            orders_left=1 if orders is None else orders.left,
            next_order_at=None if orders is None else orders.next_at,
            refusals_left=MOST_REFUSALS if orders is None else orders.refusals_left,
        )

    def action_work(
        self,
        authority: CertificateAuthority,
        certificate: Certificate,
        issuance: Issuance | None,
        active: Issuance | None,
        step: OpenStep,
    ) -> ActionWork:
        """The `ActionWork` for an action on a certificate."""
        module, context = self.context(authority, step)
        return ActionWork(
            **{each.name: getattr(context, each.name) for each in fields(ModuleContext) if each.name != "owner"},
            owner=certificate.owner,
            certificate=certificate,
            issuance=None if issuance is None else handed_out(issuance),
            settings=self.settings(module, authority, certificate),
            active=None if active is None else handed_out(active),
        )
