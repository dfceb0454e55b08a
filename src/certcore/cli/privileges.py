"""Dropping root privileges after a port below 1024 is bound."""

from __future__ import annotations

import grp
import os
import pwd

from certcore.cli.errors import CommandError
from certcore.errors import InvalidInputError

__all__ = ["become"]

_ADVICE = "Start it as root, or omit --user and have the service manager start it as that user."


def become(user: str) -> None:
    """Switch permanently to another user, and to the groups of this user or to one given group.

    Args:
        user: ``NAME`` or ``NAME:GROUP``; numbers are IDs that must exist on the system.

    Raises:
        InvalidInputError: The user or the group does not exist, or is root.
        CertCoreError: The system refuses, or this process could become root again.
    """
    name, separator, group = user.partition(":")
    entry = _find_user(name)
    group_id = _find_group(group) if separator else entry.pw_gid
    if entry.pw_uid == 0:
        raise InvalidInputError("--user", "root cannot be chosen.", advice="Name an unprivileged user.")
    if group_id == 0:
        raise InvalidInputError("--user", "the group is root.", advice="Name another group: NAME:GROUP.")
    if os.getresuid() == (entry.pw_uid,) * 3 and os.getresgid() == (group_id,) * 3:
        _require_for_good(name)
        return
    try:
        if separator:
            os.setgroups([group_id])
        else:
            os.initgroups(entry.pw_name, group_id)
        os.setresgid(group_id, group_id, group_id)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    except OSError as error:
        raise CommandError(f"This process cannot switch to user {name}: {error.strerror}.", advice=_ADVICE) from None
    if os.getresuid() != (entry.pw_uid,) * 3 or os.getresgid() != (group_id,) * 3:
        raise CommandError(f"This process cannot switch to user {name}.", advice=_ADVICE)
    _require_for_good(name)


def _require_for_good(name: str) -> None:
    """Raise CommandError if the process can become root again, for example with the capability CAP_SETUID."""
    try:
        os.setresuid(0, 0, 0)
    except OSError:
        return
    raise CommandError(
        f"This process could become root again after it switched to user {name}.",
        advice="Remove the capability CAP_SETUID, and have the service manager start it as that user.",
    )


def _find_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError):
        raise InvalidInputError("--user", f"there is no user {name[:40]!r}.") from None


def _find_group(name: str) -> int:
    try:
        group = grp.getgrgid(int(name)) if name.isascii() and name.isdigit() else grp.getgrnam(name)
    except (KeyError, OverflowError, ValueError):
        raise InvalidInputError("--user", f"there is no group {name[:40]!r}.") from None
    return group.gr_gid
