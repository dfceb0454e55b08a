"""What a CA module is given: its profile with the secrets opened, its documents, the environment."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from typing import Any

from attrs import Factory, evolve, field, fields, frozen

from certcore.engine.documents import StoredDocuments
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.form import FieldKind, fields_of, structure, unstructure
from certcore.model.issuance import Issuance
from certcore.model.order_limit import OrderLimit
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret, SecretName
from certcore.ports.ca_module import CAModule, Documents, ModuleContext, Work
from certcore.ports.environment import Environment
from certcore.ports.forks import renew_after_fork
from certcore.ports.plugins import Plugins
from certcore.ports.sealing import Vault
from certcore.ports.storage import Storage

__all__ = [
    "Contexts",
    "handed_out",
    "plain_settings",
    "read_settings",
    "secret_fields",
    "secrets_in",
    "setting_secret_name",
]


def setting_secret_name(authority_id: str, setting: str) -> SecretName:
    """Under which name the value of a secret setting is sealed."""
    return SecretName("authority-setting", f"{authority_id}/{setting}")


def secret_fields(settings_type: type) -> tuple[str, ...]:
    """The names of the secret fields of a settings class."""
    return tuple(one.name for one in fields_of(settings_type) if one.kind is FieldKind.SECRET)


def read_settings(module: str, settings_type: type, values: Mapping[str, Any]) -> Any:
    """Build settings from what a user gave or what is stored; the class and its parsers are the module's.

    Raises:
        InvalidInput: A field is unknown, missing or wrong.
        PluginError: The class raised something else.
    """
    return call_plugin(module, settings_type.__name__, structure, settings_type, values, returns=Any)


def plain_settings(module: str, settings: object) -> dict[str, Any]:
    """Settings as plain JSON, the secret fields left out.

    Raises:
        PluginError: A value of the module's cannot be written down.
    """
    plain: dict[str, Any] = call_plugin(module, type(settings).__name__, unstructure, settings, returns=dict)
    return plain


def handed_out(issuance: Issuance) -> Issuance:
    """A copy for a plugin: what it changes in the state or the findings stays its own."""
    state, findings = issuance.module_state, issuance.findings
    return evolve(
        issuance,
        module_state=None if state is None else copy.deepcopy(dict(state)),
        findings=None if findings is None else copy.deepcopy(dict(findings)),
    )


def secrets_in(profile: object) -> tuple[Secret, ...]:
    """The values of a profile's secret fields."""
    values = (getattr(profile, name) for name in secret_fields(type(profile)))
    return tuple(one for one in values if isinstance(one, Secret))


@frozen(kw_only=True, eq=False)
class Contexts:
    """Builds the contexts of modules, and keeps opened profiles in memory until they are edited."""

    storage: Storage
    vault: Vault
    plugins: Plugins
    environment: Environment
    _profiles: dict[str, tuple[int, Any]] = field(factory=dict, repr=False, init=False)
    _lock: Any = field(default=Factory(threading.Lock), repr=False, init=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.ports.forks`."""
        object.__setattr__(self, "_lock", threading.Lock())

    def documents(self, module: CAModule, lease: Schedule | None = None) -> Documents:
        """The module's own store; with a lease, what is written under it is refused once the lease is lost."""
        return StoredDocuments(self.storage, self.vault, module.name, lease)

    def open_secrets(self, authority: CertificateAuthority) -> dict[str, Secret]:
        """The secret settings of a profile, opened.

        Raises:
            SealingError: One of them does not open.
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
        """The profile as an instance of the module's ``profile_type``, its secrets opened.

        Raises:
            UnknownModule: The module is not loaded.
            InvalidInput: What is stored is no longer a valid profile of this module.
            PluginError: The module's class failed.
        """
        with self._lock:
            version, profile = self._profiles.get(authority.id, (0, None))
        if version != authority.version:
            module = self.plugins.module(authority.module)
            given = {**authority.settings, **self.open_secrets(authority)}
            profile = read_settings(authority.module, module.profile_type, given)
            with self._lock:
                self._profiles[authority.id] = (authority.version, profile)
        return profile

    def forget(self, authority_id: str) -> None:
        """Drop a profile that was deleted from memory."""
        with self._lock:
            self._profiles.pop(authority_id, None)

    def context(self, authority: CertificateAuthority, lease: Schedule | None = None) -> tuple[CAModule, ModuleContext]:
        """The module of a profile, and what its calls get."""
        module = self.plugins.module(authority.module)
        return module, ModuleContext(
            authority_id=authority.id,
            profile=self.profile(authority),
            documents=self.documents(module, lease),
            environment=self.environment,
        )

    def settings(self, module: CAModule, authority: CertificateAuthority, certificate: Certificate) -> Any:
        """The certificate's own settings, as this module understands them; what another module asked is passed over.

        Raises:
            InvalidInput: They are not valid (any more).
        """
        data = certificate.module_data
        if authority.id != certificate.authority_id:  # a fallback; it may be of another module
            known = {one.name for one in fields_of(module.certificate_type)}
            data = {name: value for name, value in data.items() if name in known}
        return read_settings(authority.module, module.certificate_type, data)

    def work(
        self,
        authority: CertificateAuthority,
        certificate: Certificate,
        issuance: Issuance,
        *,
        active: Issuance | None = None,
        lease: Schedule | None = None,
        orders: OrderLimit | None = None,
    ) -> tuple[CAModule, Work]:
        """The module of a profile, and one issuance as its work, beside the active one and under a lease."""
        module, context = self.context(authority, lease)
        return module, Work(
            **{one.name: getattr(context, one.name) for one in fields(ModuleContext) if one.name != "owner"},
            owner=certificate.owner,
            certificate=certificate,
            issuance=handed_out(issuance),
            settings=self.settings(module, authority, certificate),
            active=None if active is None else handed_out(active),
            orders_left=1 if orders is None else orders.left,
            next_order_at=None if orders is None else orders.next_at,
        )
