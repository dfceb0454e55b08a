"""Targets from a TOML file: where certificates are deployed and who is notified, without writing Python.

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

Each key is a field of `DeployFiles`, `Webhook` or `Mail`; in ``[notices]``, of `certcore.NoticePolicy`, with durations
like ``"12h"`` or ``"2d"``. Secrets are not in the file: ``password_file`` and ``secret_file`` name a file,
``password_env`` and ``secret_env`` an environment variable. For the rotation of a webhook's secret, ``secret_file`` and
``secret_env`` may be lists. Paths are relative to the directory of the file.

Everybody who can write to the file can run commands. A file that others can write to is therefore refused.
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

from certcore.contrib.deploy.files import DeployFiles
from certcore.contrib.mail.notifier import Mail
from certcore.contrib.webhook import Webhook
from certcore.errors import InvalidInputError
from certcore.model.notice_policy import NoticePolicy
from certcore.model.secret import Secret

__all__ = ["Targets", "load_targets", "read_targets"]

_MAX_SIZE: Final = 1024 * 1024
#: Forbidden mode bits of the targets file: group and others must not write.
_OTHERS_WRITE: Final = 0o022
#: Forbidden mode bits of a secret's file: the group may read (for a service's group), others may not.
_SECRET_OPEN: Final = 0o027


@attrs.frozen(kw_only=True)
class Targets:
    """The content of a targets file."""

    #: For ``CertCore.open(plugins=…)``: grouped by kind, in the order of the file.
    plugins: tuple[object, ...] = ()
    #: For ``CertCore.open(notices=…)``; None without a table ``[notices]``.
    notices: NoticePolicy | None = None


def load_targets(path: str | os.PathLike[str]) -> tuple[object, ...]:
    """The plugins of a targets file; `read_targets` also returns its notice policy.

    Raises:
        InvalidInputError: As `read_targets`.
    """
    return read_targets(path).plugins


def read_targets(path: str | os.PathLike[str]) -> Targets:
    """Read a targets file.

    Args:
        path: A TOML file with tables ``[[deploy]]``, ``[[webhook]]`` and ``[[mail]]``, and one ``[notices]``.

    Raises:
        InvalidInputError: The file cannot be read, others can write to it, or a value is invalid; the error names the
            table and the key.
    """
    file = Path(path).absolute()
    content = _content(file, "targets", forbidden=_OTHERS_WRITE)
    try:
        document = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise InvalidInputError("targets", f"{file} is not text in UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInputError("targets", f"{file} is not TOML: {str(error)[:200]}.") from None
    known = (*_KINDS, _NOTICES)
    unknown = [key for key in document if key not in known]
    if unknown:
        raise InvalidInputError(
            "targets", f"{file} has an unknown table {unknown[0][:60]!r}.", advice=f"Known: {', '.join(known)}."
        )
    targets: list[object] = []
    names: set[str] = set()
    for kind in _KINDS:
        for where, table in _tables(document, kind):
            target = _target(kind, table, where, file.parent)
            name = str(table["name"])
            if name in names:
                raise InvalidInputError(
                    f"{where}, name", "another target has the same name.", advice="Choose another name."
                )
            names.add(name)
            targets.append(target)
    return Targets(plugins=tuple(targets), notices=_notices(document[_NOTICES]) if _NOTICES in document else None)


def _tables(document: Mapping[str, object], kind: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The tables of a kind, each with its name for error messages."""
    listed = document.get(kind, [])
    if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
        raise InvalidInputError(f"[[{kind}]]", "must be a list of tables.", advice=f"Write [[{kind}]] above each.")
    for number, table in enumerate(listed, 1):
        name = table.get("name")
        yield f"[[{kind}]] {name[:60] if isinstance(name, str) and name else f'number {number}'}", table


# ------------------------------------------------------------------------------------------------------------ values


def _text(value: object, _: Path) -> str:
    if not isinstance(value, str):
        raise InvalidInputError("", "must be text in quotes.")
    return value


def _texts(value: object, _: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        # An empty list would select everything, but looks as if it selected nothing.
        raise InvalidInputError(
            "", "must be a list of texts, not empty.", advice='Write it like ["one", "two"], or leave it out.'
        )
    return tuple(value)


def _boolean(value: object, _: Path) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError("", "must be true or false.")
    return value


def _integer(value: object, _: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInputError("", "must be a whole number.")
    return value


def _number(value: object, _: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError("", "must be a number.")
    return value


def _account(value: object, _: Path) -> str | int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidInputError("", "must be a name or a number.")
    return value


def _mode(value: object, _: Path) -> int:
    # Numbers are refused, because 640 without quotes is decimal.
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        raise InvalidInputError("", "must be an octal mode in quotes.", advice='Write it like "0640".')
    return int(value, 8)


def _path(value: object, folder: Path) -> Path:
    return folder / _text(value, folder)


def _list(value: object, _: Path) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise InvalidInputError("", "must be a list.", advice="Write it like [30, 7, 1], or [] for no notices.")
    return tuple(value)


def _duration(value: object, _: Path) -> timedelta:
    # Numbers are refused, because they have no unit.
    written = re.fullmatch("([0-9]{1,5}) ?([mhd])", value) if isinstance(value, str) else None
    if written is None:
        raise InvalidInputError(
            "", "must be a duration in quotes.", advice='Write it like "90m", "12h" or "2d": minutes, hours or days.'
        )
    return int(written[1]) * _UNITS[written[2]]


# ----------------------------------------------------------------------------------------------------------- secrets


def _secrets(table: Mapping[str, object], key: str, where: str, folder: Path) -> list[Secret]:
    """The secrets that the keys ``…_file`` and ``…_env`` name."""
    from_file, from_variable = table.get(f"{key}_file"), table.get(f"{key}_env")
    if from_file is not None and from_variable is not None:
        raise InvalidInputError(f"{where}, {key}_env", f"{key}_file is set as well.", advice="Remove one of them.")
    if from_file is not None:
        return [
            _secret_file(folder / file_name, f"{where}, {key}_file")
            for file_name in _some(from_file, f"{where}, {key}_file")
        ]
    if from_variable is not None:
        place = f"{where}, {key}_env"
        return [_secret_variable(variable, place) for variable in _some(from_variable, place)]
    return []


def _some(value: object, where: str) -> list[str]:
    listed: list[Any] = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(text, str) and text for text in listed):
        raise InvalidInputError(where, "must be text in quotes, or a list of such texts.")
    return listed


def _secret_file(path: Path, where: str) -> Secret:
    secret = _content(path, where, forbidden=_SECRET_OPEN).strip()
    if not secret:
        raise InvalidInputError(where, f"{path} is empty.")
    return Secret(secret)


def _secret_variable(name: str, where: str) -> Secret:
    content = os.environ.get(name, "").strip()
    if not content:
        raise InvalidInputError(where, f"the environment variable {name[:60]} is not set or empty.")
    return Secret(os.fsencode(content))


def _content(path: Path, where: str, *, forbidden: int) -> bytes:
    """The content of a file, after its owner and mode were checked.

    Args:
        path: The file.
        where: The table and the key that name the file, for error messages.
        forbidden: Mode bits that must not be set.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else ""
        raise InvalidInputError(where, f"{path} cannot be read: {reason or 'not a valid path'}.") from None
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInputError(where, f"{path} is not a regular file.")
        if mode & forbidden:
            rights = f"{mode & ~forbidden:04o}"
            raise InvalidInputError(
                where, f"other users can access {path} (mode {mode:04o}).", advice=f"Run: chmod {rights} {path}"
            )
        if status.st_uid not in (0, os.geteuid()):
            raise InvalidInputError(where, f"{path} belongs to another user (uid {status.st_uid}).")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(_MAX_SIZE + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_SIZE:
        raise InvalidInputError(where, f"{path} is larger than {_MAX_SIZE} bytes.")
    return content


# ----------------------------------------------------------------------------------------------------------- notices

_NOTICES: Final = "notices"
_UNITS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
)
#: By key: the function that reads its value. The keys are the fields of the policy.
_NOTICE_READERS: Final[Mapping[str, Callable[[object, Path], object]]] = MappingProxyType(
    {"days_before": _list, "after_failures": _integer, "failing_for": _duration}
)


def _notices(table: object) -> NoticePolicy:
    if not isinstance(table, dict):
        raise InvalidInputError("[notices]", "must be one table.", advice="Write [notices] once, above its keys.")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _NOTICE_READERS:
            known = ", ".join(_NOTICE_READERS)
            raise InvalidInputError(f"[notices], {key[:60]}", "there is no such key.", advice=f"Known: {known}.")
        try:
            values[key] = _NOTICE_READERS[key](value, Path())
        except InvalidInputError as error:
            raise InvalidInputError(f"[notices], {key}", error.reason, advice=error.advice) from None
    try:
        return NoticePolicy(**values)
    except InvalidInputError as error:
        raise InvalidInputError(f"[notices], {error.field}", error.reason, advice=error.advice) from None


# ----------------------------------------------------------------------------------------------------------- targets

#: By key: the function that reads its value. A table may only have keys that are fields of its target.
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
#: By table name: the target's class, and the name of its secret in the file and in the class.
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
            known = ", ".join((*(name for name in fields if name in _READERS), *secret_keys))
            raise InvalidInputError(f"{where}, {key[:60]}", "there is no such key.", advice=f"Known: {known}.")
        try:
            values[key] = _READERS[key](value, folder)
        except InvalidInputError as error:
            raise InvalidInputError(f"{where}, {key}", error.reason, advice=error.advice) from None
    if secrets := _secrets(table, secret, where, folder):
        if field == secret and len(secrets) > 1:
            raise InvalidInputError(f"{where}, {secret}", "only one is allowed.")
        values[field] = secrets[0] if field == secret else tuple(secrets)
    for name, attribute in fields.items():
        if attribute.default is attrs.NOTHING and name not in values:
            raise InvalidInputError(f"{where}, {name}", "is required.")
    try:
        return make(**values)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}, {error.field}", error.reason, advice=error.advice) from None
