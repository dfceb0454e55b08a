"""Targets from a file: what is deployed where, and who is told, without writing Python.

::

    [[deploy]]
    name = "web"
    folder = "/etc/ssl/sites/{name}"
    format = "nginx"
    layout = "versioned"
    group = "www-data"
    secret_mode = "0640"
    command = ["/usr/bin/systemctl", "reload", "nginx"]

    [[webhook]]
    name = "panel"
    url = "https://panel.example/hooks/certcore"
    secret_file = "panel.secret"

    [[mail]]
    name = "operators"
    host = "mail.example"
    username = "certcore"
    password_env = "MAIL_PASSWORD"
    sender = "certcore@panel.example"
    to = ["ops@panel.example"]

    [notices]
    days_before = [30, 7, 1]
    after_failures = 3
    failing_for = "1d"

A key is the name of a field of `DeployFiles`, `Webhook` or `Mail`; in ``[notices]`` of `certcore.NoticePolicy`, with a
duration like ``"12h"`` or ``"2d"``. Secrets are not in the file: ``password_file`` and ``secret_file`` name a file,
``password_env`` and ``secret_env`` a variable of the environment. A webhook takes a list of them while its secret is
changed. Paths are relative to the file's own folder.

Whoever can write to the file says which commands are run. So a file that others can write to is refused.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs

from certcore.contrib.deploy import DeployFiles
from certcore.contrib.mail import Mail
from certcore.contrib.webhook import Webhook
from certcore.errors import InvalidInput
from certcore.model.notices import NoticePolicy
from certcore.model.secret import Secret

__all__ = ["Targets", "load_targets", "read_targets"]

_LARGEST: Final = 1024 * 1024
_OTHERS_WRITE: Final = 0o022
#: A group may read a secret: that of the service, say. Nobody else may, and nobody but the owner may write.
_SECRET_OPEN: Final = 0o027


@attrs.frozen(kw_only=True)
class Targets:
    """What is in a file of targets."""

    #: For ``CertCore.open(plugins=…)``: in the order of the file, those of a kind together.
    plugins: tuple[object, ...] = ()
    #: For ``CertCore.open(notices=…)``; None without a table ``[notices]``.
    notices: NoticePolicy | None = None


def load_targets(path: str | os.PathLike[str]) -> tuple[object, ...]:
    """The plugins of a file of targets; `read_targets` has its notices, too.

    Raises:
        InvalidInput: As `read_targets`.
    """
    return read_targets(path).plugins


def read_targets(path: str | os.PathLike[str]) -> Targets:
    """Read a file of targets.

    Args:
        path: A TOML file with tables ``[[deploy]]``, ``[[webhook]]`` and ``[[mail]]``, and one ``[notices]``.

    Raises:
        InvalidInput: The file cannot be read or is not to be trusted; or something in it is refused, and the error
            names the table and the key.
    """
    file = Path(path).absolute()
    content = _content(file, "targets", forbidden=_OTHERS_WRITE)
    try:
        document = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise InvalidInput("targets", f"{file} is not text in UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput("targets", f"{file} is not TOML: {str(error)[:200]}.") from None
    known = (*_KINDS, _NOTICES)
    unknown = [one for one in document if one not in known]
    if unknown:
        raise InvalidInput("targets", f"{file} has a {unknown[0][:60]!r}.", advice=f"There are: {', '.join(known)}.")
    targets: list[object] = []
    names: set[str] = set()
    for kind in _KINDS:
        for where, table in _tables(document, kind):
            target = _target(kind, table, where, file.parent)
            name = str(table["name"])
            if name in names:
                raise InvalidInput(f"{where}, name", "another target has it already.", advice="Choose another one.")
            names.add(name)
            targets.append(target)
    return Targets(plugins=tuple(targets), notices=_notices(document[_NOTICES]) if _NOTICES in document else None)


def _tables(document: Mapping[str, object], kind: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The tables of a kind, each with how it is called in a sentence."""
    listed = document.get(kind, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InvalidInput(f"[[{kind}]]", "a list of tables is needed.", advice=f"Write [[{kind}]] above each.")
    for number, table in enumerate(listed, 1):
        name = table.get("name")
        yield f"[[{kind}]] {name[:60] if isinstance(name, str) and name else f'number {number}'}", table


# ------------------------------------------------------------------------------------------------------------ values


def _text(value: object, _: Path) -> str:
    if not isinstance(value, str):
        raise InvalidInput("", "a text in quotes is needed.")
    return value


def _texts(value: object, _: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        # An empty one would stand for all, where somebody may have meant none.
        raise InvalidInput("", "a list of texts is needed.", advice='Write it like ["one", "two"], or leave it out.')
    return tuple(value)


def _boolean(value: object, _: Path) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("", "true or false is needed.")
    return value


def _integer(value: object, _: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput("", "a whole number is needed.")
    return value


def _number(value: object, _: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("", "a number is needed.")
    return value


def _account(value: object, _: Path) -> str | int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidInput("", "a name or a number is needed.")
    return value


def _mode(value: object, _: Path) -> int:
    # A number would not do: 640 without quotes is another mode than 0640.
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        raise InvalidInput("", "a mode in quotes is needed.", advice='Write it like "0640".')
    return int(value, 8)


def _path(value: object, folder: Path) -> Path:
    return folder / _text(value, folder)


def _list(value: object, _: Path) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise InvalidInput("", "a list is needed.", advice="Write it like [30, 7, 1]; [] is for none.")
    return tuple(value)


def _duration(value: object, _: Path) -> timedelta:
    # A number would not do: it does not say of what.
    written = re.fullmatch("([0-9]{1,5}) ?([mhd])", value) if isinstance(value, str) else None
    if written is None:
        raise InvalidInput(
            "", "a duration in quotes is needed.", advice='Write it like "90m", "12h" or "2d": minutes, hours or days.'
        )
    return int(written[1]) * _UNITS[written[2]]


# ----------------------------------------------------------------------------------------------------------- secrets


def _secrets(table: Mapping[str, object], key: str, where: str, folder: Path) -> list[Secret]:
    """The secrets that the keys ``…_file`` and ``…_env`` name."""
    from_file, from_variable = table.get(f"{key}_file"), table.get(f"{key}_env")
    if from_file is not None and from_variable is not None:
        raise InvalidInput(f"{where}, {key}_env", f"there is a {key}_file, too.", advice="Remove one of them.")
    if from_file is not None:
        return [_secret_file(folder / one, f"{where}, {key}_file") for one in _some(from_file, f"{where}, {key}_file")]
    if from_variable is not None:
        place = f"{where}, {key}_env"
        return [_secret_variable(one, place) for one in _some(from_variable, place)]
    return []


def _some(value: object, where: str) -> list[str]:
    listed: list[Any] = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str) and one for one in listed):
        raise InvalidInput(where, "a text in quotes is needed, or a list of them.")
    return listed


def _secret_file(path: Path, where: str) -> Secret:
    secret = _content(path, where, forbidden=_SECRET_OPEN).strip()
    if not secret:
        raise InvalidInput(where, f"{path} is empty.")
    return Secret(secret)


def _secret_variable(name: str, where: str) -> Secret:
    found = os.environ.get(name, "").strip()
    if not found:
        raise InvalidInput(where, f"the variable {name[:60]} is not set, or is empty.")
    return Secret(os.fsencode(found))


def _content(path: Path, where: str, *, forbidden: int) -> bytes:
    """What is in a file that others have no say in."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else ""
        raise InvalidInput(where, f"{path} cannot be read: {reason or 'it is no path'}.") from None
    try:
        found = os.fstat(descriptor)
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(where, f"{path} is not a file.")
        if mode & forbidden:
            rights = f"{mode & ~forbidden:04o}"
            raise InvalidInput(
                where, f"others have too many rights to {path} (mode {mode:04o}).", advice=f"Run: chmod {rights} {path}"
            )
        if found.st_uid not in (0, os.geteuid()):
            raise InvalidInput(where, f"{path} belongs to another user (number {found.st_uid}).")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(_LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST:
        raise InvalidInput(where, f"{path} is larger than {_LARGEST} bytes.")
    return content


# ----------------------------------------------------------------------------------------------------------- notices

_NOTICES: Final = "notices"
_UNITS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
)
#: How the value of a key is read: the fields of the policy.
_NOTICE_READERS: Final[Mapping[str, Callable[[object, Path], object]]] = MappingProxyType(
    {"days_before": _list, "after_failures": _integer, "failing_for": _duration}
)


def _notices(table: object) -> NoticePolicy:
    if not isinstance(table, dict):
        raise InvalidInput("[notices]", "a table is needed.", advice="Write [notices] above its keys, once.")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _NOTICE_READERS:
            known = ", ".join(_NOTICE_READERS)
            raise InvalidInput(f"[notices], {key[:60]}", "there is no such key.", advice=f"There are: {known}.")
        try:
            values[key] = _NOTICE_READERS[key](value, Path())
        except InvalidInput as error:
            raise InvalidInput(f"[notices], {key}", error.reason, advice=error.advice) from None
    try:
        return NoticePolicy(**values)
    except InvalidInput as error:
        raise InvalidInput(f"[notices], {error.field}", error.reason, advice=error.advice) from None


# ----------------------------------------------------------------------------------------------------------- targets

#: How the value of a key is read. A table has those of them that its target has a field for.
_READERS: Final[Mapping[str, Callable[[object, Path], object]]] = MappingProxyType(
    {
        **dict.fromkeys(("name", "folder", "format", "layout", "url", "host", "security", "username", "sender"), _text),
        **dict.fromkeys(("domains", "owners", "authorities", "command", "kinds", "to"), _texts),
        **dict.fromkeys(("with_key", "imports", "allow_http"), _boolean),
        **dict.fromkeys(("keep", "port"), _integer),
        **dict.fromkeys(("command_timeout", "connect_timeout", "read_timeout", "timeout"), _number),
        **dict.fromkeys(("owner", "group"), _account),
        "secret_mode": _mode,
        "ca_file": _path,
    }
)
#: By the name of the table: the target, and how its secret is called in the file and in the target.
_KINDS: Final[Mapping[str, tuple[type[attrs.AttrsInstance], str, str]]] = MappingProxyType(
    {
        "deploy": (DeployFiles, "password", "password"),
        "webhook": (Webhook, "secret", "secrets"),
        "mail": (Mail, "password", "password"),
    }
)


def _target(kind: str, table: Mapping[str, object], where: str, folder: Path) -> object:
    make, secret, field = _KINDS[kind]
    fields = attrs.fields_dict(make)
    secret_keys = (f"{secret}_file", f"{secret}_env")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in secret_keys:
            continue
        if key not in fields or key not in _READERS:
            known = ", ".join((*(one for one in fields if one in _READERS), *secret_keys))
            raise InvalidInput(f"{where}, {key[:60]}", "there is no such key.", advice=f"There are: {known}.")
        try:
            values[key] = _READERS[key](value, folder)
        except InvalidInput as error:
            raise InvalidInput(f"{where}, {key}", error.reason, advice=error.advice) from None
    if secrets := _secrets(table, secret, where, folder):
        if field == secret and len(secrets) > 1:
            raise InvalidInput(f"{where}, {secret}", "there can be only one.")
        values[field] = secrets[0] if field == secret else tuple(secrets)
    for name, one in fields.items():
        if one.default is attrs.NOTHING and name not in values:
            raise InvalidInput(f"{where}, {name}", "it is missing.")
    try:
        return make(**values)
    except InvalidInput as error:
        raise InvalidInput(f"{where}, {error.field}", error.reason, advice=error.advice) from None
