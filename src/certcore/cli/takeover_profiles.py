"""Matching CA profiles to ACME directories, and the command that adds a missing profile."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from certcore.core import CertCore
from certcore.engine.module_context import read_settings
from certcore.errors import CertCoreError
from certcore.model.authority import CertificateAuthority
from certcore.model.form import FieldKind, FormField
from certcore.ports.ca_module import CAModule

__all__ = ["Profile", "add_command", "matching", "profiles_of"]

#: A value that every required field accepts. With it, the directory of incomplete settings can be determined.
_PLACEHOLDER: Final = "acme.example.com"


@frozen(kw_only=True)
class Profile:
    """A CA profile and its ACME directory."""

    authority: CertificateAuthority
    #: The directory's URL; empty for profiles of modules without an ACME directory.
    directory: str

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.authority.name

    @property
    def id(self) -> str:
        """The profile's ID."""
        return self.authority.id


def profiles_of(core: CertCore, names: Sequence[str], *, actor: str) -> list[Profile]:
    """The CA profiles with these names or IDs, in this order; all profiles when `names` is empty.

    Raises:
        NotFoundError: A name or ID is unknown.
    """
    authorities = core.authorities.list(actor=actor)
    if names:
        authorities = [core.authorities.get(name, actor=actor) for name in dict.fromkeys(names)]
    modules = core.authorities.modules()
    return [
        Profile(authority=authority, directory=_directory(modules.get(authority.module), authority.settings))
        for authority in authorities
    ]


def matching(profiles: Sequence[Profile], directory_url: str, server: str) -> list[Profile]:
    """The profiles for a directory, or for any directory on `server` if `directory_url` is empty."""
    if directory_url:
        return [
            profile for profile in profiles if profile.directory and _same(profile.directory) == _same(directory_url)
        ]
    return [profile for profile in profiles if server and profile.directory and _server(profile.directory) == server]


def add_command(core: CertCore, directory_url: str, server: str, email: str) -> str:
    """The command that adds a CA profile for a directory; empty when no loaded module supports ACME directories.

    Args:
        core: The open store.
        directory_url: The directory's URL; empty if only its host is known.
        server: ``host`` or ``host:port`` of the CA.
        email: The e-mail address for the profile, from the account.
    """
    url = directory_url or f"https://{server}/directory"
    for name, module in core.authorities.modules().items():
        form = core.authorities.module_form(name)
        settings = _leading_to(module, form, url)
        if settings is None:
            continue
        field_names = {field.name for field in form}
        if not directory_url and "directory_url" in settings:
            settings["directory_url"] = f"https://{server}/DIRECTORY"
        if "email" in field_names and email:
            settings["email"] = email
        if "terms_agreed" in field_names:
            settings["terms_agreed"] = "yes"
        settings |= {field.name: field.name.upper() for field in form if field.required and field.name not in settings}
        pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return shlex.join(["certcore", "authority", "add", "NAME", "--module", name, *pairs])
    return ""


def _leading_to(module: CAModule[Any, Any], form: Sequence[FormField], url: str) -> dict[str, str] | None:
    """The settings with which a profile of this module uses a directory; None if no settings lead to it."""
    names = {field.name for field in form}
    needed = {field.name: _PLACEHOLDER for field in form if field.required and field.kind is not FieldKind.CHOICE}
    choices = [choice.value for field in form if field.name == "ca" for choice in field.choices]
    for ca in choices:
        for settings in ({"ca": ca}, {"ca": ca, "directory_url": url}):
            if settings.keys() <= names and _same(_directory(module, needed | settings)) == _same(url):
                return dict(settings)
    return None


def _directory(module: CAModule[Any, Any] | None, settings: Mapping[str, Any]) -> str:
    """The URL of the ACME directory of a profile with these settings; empty without one.

    It is the attribute ``directory`` of the module's settings class.
    """
    if module is None:
        return ""
    try:
        directory = getattr(read_settings(module.name, module.profile_type, settings), "directory", "")
    except CertCoreError:  # incomplete settings, or settings that another version of the module stored
        return ""
    return directory if isinstance(directory, str) else ""


def _same(url: str) -> tuple[str, str, str]:
    """The parts of a directory URL that identify it."""
    return urlsplit(url).scheme, _server(url), urlsplit(url).path.rstrip("/")


def _server(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
