"""Changes of CA profiles: create and edit, their settings validated and their secrets sealed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts, plain_settings, read_settings, setting_secret_name
from certcore.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.field_errors import FieldErrors
from certcore.model.form import refuse_old_consents, secret_fields
from certcore.model.identifiers import check_identifier
from certcore.model.input_limits import LONGEST_ID, MOST_ROWS, members, refuse_unstorable, text_within, whole_number
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.ports.ca_module import CAModule
from certcore.ports.storage import Transaction
from certcore.services.access import Access

__all__ = ["MOST_DESCRIPTION", "MOST_NAME", "AuthorityChanges", "check_description", "check_name", "refuse_id"]

#: The longest name and description of a CA profile, in characters.
MOST_NAME: Final = 100
MOST_DESCRIPTION: Final = 2000


@frozen(kw_only=True, eq=False, slots=False)
class AuthorityChanges:
    """Creating and editing CA profiles."""

    _contexts: Contexts
    _access: Access

    def create(
        self,
        name: str,
        *,
        module: str,
        settings: Mapping[str, Any] | None = None,
        description: str = "",
        actor: str = "system",
    ) -> CertificateAuthority:
        """Store a new CA profile. The CA is not contacted; see `check`.

        Args:
            name: A unique name of at most 100 characters.
            module: The name of the CA module.
            settings: The module's settings, as texts or JSON values; secrets as texts or `Secret`.
            description: A description for users.
            actor: Who makes the call.

        Raises:
            InvalidInputError: A value is invalid; nothing was stored.
            UnknownModuleError: There is no such module.
            AlreadyExistsError: The name is taken.
            AccessDeniedError: The policy refused.
        """
        authority, secrets = self._created(name, module, settings, description, actor)
        with self._contexts.storage.write() as transaction:
            refuse_id(transaction, authority)
            transaction.authorities.add(authority)
            self._put_secrets(transaction, authority, secrets)
        return authority

    def _created(
        self, name: str, module: str, settings: Mapping[str, Any] | None, description: str, actor: str
    ) -> tuple[CertificateAuthority, Mapping[str, Secret]]:
        """The CA profile that `create` stores, and its secrets."""
        self._access.require(actor, Permission.AUTHORITY_CREATE)
        ca_module = self._contexts.plugins.module(text_within("module", module, LONGEST_ID))
        errors = FieldErrors()
        plain: dict[str, Any] = {}
        secrets: dict[str, Secret] = {}
        with errors.collecting():
            name = check_name(name)
        with errors.collecting():
            description = check_description(description)
        with errors.collecting():
            plain, secrets = self._settings(ca_module, members("settings", settings or {}))
        errors.refuse()
        now = self._contexts.environment.now()
        authority = CertificateAuthority(
            id=self._contexts.environment.new_id(),
            name=name,
            description=description,
            module=module,
            settings=plain,
            secrets_set=frozenset(secrets),
            created_at=now,
            updated_at=now,
        )
        return authority, secrets

    def edit(
        self,
        authority: str,
        *,
        name: str | None = None,
        description: str | None = None,
        settings: Mapping[str, Any] | None = None,
        version: int | None = None,
        actor: str = "system",
    ) -> CertificateAuthority:
        """Change the given fields of a CA profile. All other fields and secrets are kept.

        Args:
            authority: The CA profile, by ID or name.
            name: The new name.
            description: The new description.
            settings: The settings to change. An empty text removes a secret. A consent, for example to terms of
                service, is not valid for another CA; give it again together with the change.
            version: The version that the user has read. If another version is stored, the edit is refused. None for any
                version.
            actor: Who makes the call.

        Raises:
            NotFoundError: There is no such profile.
            InvalidInputError: A value is invalid; nothing was stored.
            StaleWriteError: The CA profile was changed meanwhile.
            AlreadyExistsError: The new name is taken.
            AccessDeniedError: The policy refused.
        """
        stored = self._access.authority(actor, Permission.AUTHORITY_EDIT, authority)
        changed, secrets = self._edited(stored, name, description, settings, version)
        with self._contexts.storage.write() as transaction:
            refuse_id(transaction, changed)
            saved = transaction.authorities.save(changed)
            for gone in stored.secrets_set - frozenset(secrets):
                transaction.secrets.delete(setting_secret_name(stored.id, gone))
            self._put_secrets(transaction, saved, secrets)
        return saved

    def _edited(
        self,
        stored: CertificateAuthority,
        name: str | None,
        description: str | None,
        settings: Mapping[str, Any] | None,
        version: int | None,
    ) -> tuple[CertificateAuthority, Mapping[str, Secret]]:
        """The CA profile that `edit` stores, and all its secrets."""
        module = self._contexts.plugins.module(stored.module)
        settings = members("settings", settings or {})
        errors = FieldErrors()
        plain: dict[str, Any] = {}
        secrets: dict[str, Secret] = {}
        with errors.collecting():
            name = stored.name if name is None else check_name(name)
        with errors.collecting():
            description = stored.description if description is None else check_description(description)
        with errors.collecting():
            merged = {**stored.settings, **self._contexts.open_secrets(stored), **settings}
            plain, secrets = self._settings(module, merged)
            refuse_old_consents(module.profile_type, stored.settings, plain, settings)
        errors.refuse()
        changed = evolve(
            stored,
            name=name,
            description=description,
            settings=plain,
            secrets_set=frozenset(secrets),
            version=stored.version if version is None else whole_number("version", version, 0, MOST_ROWS),
            updated_at=self._contexts.environment.now(),
        )
        return changed, secrets

    def _settings(
        self, module: CAModule[Any, Any], values: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Secret]]:
        """Validate settings, and separate plain JSON from secrets."""
        refuse_unstorable(values)
        profile: object = read_settings(module.name, module.profile_type, values)
        call_plugin(module.name, "check_profile", module.check_profile, profile, returns=None)
        secrets = {
            name: value
            for name in secret_fields(module.profile_type)
            if isinstance(value := getattr(profile, name), Secret) and value
        }
        return plain_settings(module.name, profile), secrets

    def _put_secrets(
        self, transaction: Transaction, authority: CertificateAuthority, secrets: Mapping[str, Secret]
    ) -> None:
        for setting, secret in secrets.items():
            name = setting_secret_name(authority.id, setting)
            transaction.secrets.put(name, self._contexts.vault.seal(secret, name))


def refuse_id(transaction: Transaction, authority: CertificateAuthority) -> None:
    """Refuse a name that is the ID of another CA profile, because calls accept both.

    Raises:
        AlreadyExistsError: The name is the ID of another CA profile.
    """
    with suppress(NotFoundError):
        if transaction.authorities.get(authority.name).id != authority.id:
            raise AlreadyExistsError("authority", authority.name)


def check_name(name: str) -> str:
    """The name of a CA profile, trimmed.

    Raises:
        InvalidInputError: It is empty, too long, or not printable.
    """
    trimmed = text_within("name", name, MOST_NAME * 2).strip()
    if not trimmed:
        raise InvalidInputError("name", Message("authority.name_missing", "a CA profile needs a name."))
    if len(trimmed) > MOST_NAME or not trimmed.isprintable():
        raise InvalidInputError(
            "name",
            Message(
                "input.not_printable_text", "must be printable text of at most {most} characters.", {"most": MOST_NAME}
            ),
        )
    return check_identifier("name", trimmed, most=MOST_NAME)


def check_description(text: str) -> str:
    """The description of a CA profile, trimmed.

    Raises:
        InvalidInputError: It is too long, or cannot be stored.
    """
    text_within("description", text, MOST_DESCRIPTION)
    refuse_unstorable({"description": text})
    return text.strip()
