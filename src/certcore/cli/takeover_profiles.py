"""Which CA profile is for which ACME directory, and what to type where there is none."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from certcore.core import CertCore
from certcore.engine.contexts import read_settings
from certcore.errors import CertCoreError
from certcore.model.authority import CertificateAuthority
from certcore.model.form import FieldKind, FormField
from certcore.ports.ca_module import CAModule

__all__ = ["Profile", "add_command", "matching", "profiles_of"]

#: A name that no form refuses; only to find out what the other settings lead to.
_SOME_NAME: Final = "acme.example.com"


@frozen(kw_only=True)
class Profile:
    """A CA profile, and the ACME directory that it is for."""

    authority: CertificateAuthority
    #: Empty for profiles of modules that know no ACME directory.
    directory: str

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.authority.name

    @property
    def id(self) -> str:
        """The profile's id."""
        return self.authority.id


def profiles_of(core: CertCore, names: Sequence[str], *, actor: str) -> list[Profile]:
    """The CA profiles of these names or ids, in this order; all of them when none is named.

    Raises:
        NotFound: There is none of such a name.
    """
    authorities = core.authorities.list(actor=actor)
    if names:
        authorities = [core.authorities.find(name, actor=actor) for name in dict.fromkeys(names)]
    modules = core.authorities.modules()
    return [Profile(authority=one, directory=_directory(modules.get(one.module), one.settings)) for one in authorities]


def matching(profiles: Sequence[Profile], directory_url: str, server: str) -> list[Profile]:
    """The profiles for a directory; where only the CA's host is known, those for a directory on it."""
    if directory_url:
        return [one for one in profiles if one.directory and _same(one.directory) == _same(directory_url)]
    return [one for one in profiles if server and one.directory and _server(one.directory) == server]


def add_command(core: CertCore, directory_url: str, server: str, email: str) -> str:
    """The command that adds a CA profile for a directory; empty when no module is for any.

    Args:
        core: The store, for the modules that are loaded.
        directory_url: The directory; empty when only its host is known.
        server: ``host`` or ``host:port`` of the CA.
        email: What the account has; the profile should have the same.
    """
    url = directory_url or f"https://{server}/directory"
    for name, module in core.authorities.modules().items():
        form = core.authorities.form(name)
        settings = _leading_to(module, form, url)
        if settings is None:
            continue
        known = {field.name for field in form}
        if not directory_url and "directory_url" in settings:
            settings["directory_url"] = f"https://{server}/DIRECTORY"
        if "email" in known and email:
            settings["email"] = email
        if "terms_agreed" in known:
            settings["terms_agreed"] = "yes"
        settings |= {field.name: field.name.upper() for field in form if field.required and field.name not in settings}
        pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return shlex.join(["certcore", "authority", "add", "NAME", "--module", name, *pairs])
    return ""


def _leading_to(module: CAModule, form: Sequence[FormField], url: str) -> dict[str, str] | None:
    """The settings with which a profile of this module is for a directory."""
    names = {field.name for field in form}
    needed = {field.name: _SOME_NAME for field in form if field.required and field.kind is not FieldKind.CHOICE}
    choices = [one.value for field in form if field.name == "ca" for one in field.choices]
    for ca in choices:
        for given in ({"ca": ca}, {"ca": ca, "directory_url": url}):
            if given.keys() <= names and _same(_directory(module, needed | given)) == _same(url):
                return dict(given)
    return None


def _directory(module: CAModule | None, settings: Mapping[str, Any]) -> str:
    """The directory of a profile with these settings: what its module calls ``directory``."""
    if module is None:
        return ""
    try:
        directory = getattr(read_settings(module.name, module.profile_type, settings), "directory", "")
    except CertCoreError:  # a module that has other settings by now
        return ""
    return directory if isinstance(directory, str) else ""


def _same(url: str) -> tuple[str, str, str]:
    """What makes two directory URLs the same."""
    return urlsplit(url).scheme, _server(url), urlsplit(url).path.rstrip("/")


def _server(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
