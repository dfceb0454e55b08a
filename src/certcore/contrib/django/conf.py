"""The setting ``CERTCORE``: one dictionary, read and checked as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

from attrs import field, fields, frozen
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from certcore.model.permissions import Role

__all__ = ["DEFAULT_ROLES", "SslSettings", "faults_of", "imported", "read_settings"]

#: The groups and permissions that give each role. A name with a dot is a permission of Django: ``shop.manage_ssl``.
DEFAULT_ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "viewer": ("SSL viewers",),
        "operator": ("SSL operators",),
        "administrator": ("SSL administrators",),
    }
)
_MOST_ROWS: Final = 200
_LONGEST_REFRESH: Final = 3600


@frozen(kw_only=True)
class SslSettings:
    """The setting ``CERTCORE``; its keys are the names of these attributes in upper case."""

    #: The URL of certcore's database, as in `CertCore.open`.
    database: str = field(default="", repr=False)
    #: Where the sealing keys are: the path of a file, or any other value that `CertCore.open` takes for a keyring.
    keyring: str = ""
    #: A function that returns the `CertCore` of the process, or the dotted path of the function, for panels that open
    #: `CertCore` themselves. It is called once per process. The arguments of `CertCore.open` in this class, and
    #: ``roles_policy``, are then not used.
    core: Callable[[], Any] | str | None = None
    #: Plugins, or their dotted paths, in addition to the installed ones. A class is called without arguments.
    plugins: Sequence[Any] = ()
    #: Whether to load the plugins that installed packages register in the entry-point group ``certcore``.
    installed_plugins: bool = True
    #: Whether ``roles`` decide who may do what. If not, a plugin of yours has to implement ``certcore_authorize``.
    roles_policy: bool = True
    #: For each role (``viewer``, ``operator``, ``administrator``), the groups and permissions of Django that give it.
    roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES
    #: The function that names the tenant of a request, or the dotted path of the function. It takes the request and
    #: returns the owner, or None for a user who is no tenant and sees all certificates that the policy allows.
    owner: Callable[[Any], str | None] | str = "certcore.contrib.django.owner_by_role"
    #: Whether `CertCore.open` creates and migrates its tables.
    migrate: bool = True
    #: Connections to the database that each process keeps, and how many more it may open.
    pool_size: int = 10
    max_overflow: int = 50
    #: How many certificates the list shows per page.
    page_size: int = 50
    #: Seconds after which an open page asks for changes again.
    refresh_seconds: int = 10


_NAMES: Final = {attribute.name.upper(): attribute for attribute in fields(SslSettings)}
_BOUNDS: Final = {
    "POOL_SIZE": (1, 1000),
    "MAX_OVERFLOW": (0, 1000),
    "PAGE_SIZE": (1, _MOST_ROWS),
    "REFRESH_SECONDS": (1, _LONGEST_REFRESH),
}


def read_settings() -> SslSettings:
    """Read the setting ``CERTCORE`` of this project.

    Raises:
        ImproperlyConfigured: The setting is missing or wrong; the error names all faults.
    """
    raw = getattr(settings, "CERTCORE", None)
    faults = faults_of(raw)
    if faults:
        raise ImproperlyConfigured(" ".join(faults))
    return SslSettings(**{name.lower(): value for name, value in cast("Mapping[str, Any]", raw).items()})


def faults_of(raw: object) -> list[str]:
    """Return the faults of a value of the setting ``CERTCORE`` as sentences; empty if there are none.

    Args:
        raw: The value; None if the project does not set it.
    """
    if raw is None:
        return ["The setting CERTCORE is missing: a dictionary with at least DATABASE and KEYRING."]
    if not isinstance(raw, Mapping):
        return ["The setting CERTCORE must be a dictionary."]
    return [*_faults_of_names(raw), *_faults_of_types(raw), *_faults_of_roles(raw.get("ROLES", DEFAULT_ROLES))]


def _faults_of_names(raw: Mapping[Any, Any]) -> Iterator[str]:
    for name in map(str, raw):
        if name not in _NAMES:
            yield f"CERTCORE has no setting {name!r}; it has {', '.join(_NAMES)}."
    if raw.get("CORE") is None:
        for name, example in (("DATABASE", "sqlite:///certcore.db"), ("KEYRING", "keyring.json")):
            if not raw.get(name):
                yield f"CERTCORE[{name!r}] is missing, for example {example!r}."


def _faults_of_types(raw: Mapping[Any, Any]) -> Iterator[str]:
    for name in ("DATABASE", "KEYRING"):
        if not isinstance(raw.get(name) or "", str):
            yield f"CERTCORE[{name!r}] must be text."
    for name in ("INSTALLED_PLUGINS", "ROLES_POLICY", "MIGRATE"):
        if not isinstance(raw.get(name, True), bool):
            yield f"CERTCORE[{name!r}] must be True or False."
    for name, (least, most) in _BOUNDS.items():
        number = raw.get(name, least)
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            yield f"CERTCORE[{name!r}] must be a whole number from {least} to {most}."
    if not isinstance(raw.get("PLUGINS", ()), list | tuple):
        yield "CERTCORE['PLUGINS'] must be a list."


def _faults_of_roles(roles: object) -> list[str]:
    names = [role.name.lower() for role in Role]
    if not isinstance(roles, Mapping):
        return [f"CERTCORE['ROLES'] must be a dictionary with the keys {', '.join(names)}."]
    faults = [
        f"CERTCORE['ROLES'] has no role {name!r}; there are {', '.join(names)}." for name in set(roles) - {*names}
    ]
    for name, holders in roles.items():
        if not isinstance(holders, list | tuple) or not all(isinstance(each, str) and each for each in holders):
            faults.append(f"CERTCORE['ROLES'][{name!r}] must be a list of groups and permissions.")
    return faults


def imported(setting: str, value: Any) -> Any:
    """Import the object that a setting names by a dotted path; a value that is no string is returned unchanged.

    Args:
        setting: The key in ``CERTCORE``, for the error.
        value: The value of the setting.

    Raises:
        ImproperlyConfigured: The object cannot be imported.
    """
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"CERTCORE[{setting!r}] names {value!r}, which cannot be imported: {error}"
        ) from error
