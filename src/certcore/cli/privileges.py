"""Giving up root when a port below 1024 has been taken."""

from __future__ import annotations

import grp
import os
import pwd

from certcore.errors import CertCoreError, InvalidInput

__all__ = ["become"]

_ADVICE = "Start it as root, or leave --user out and let the system start it as that user."


def become(user: str) -> None:
    """Go on as another user, with that user's groups or one named group, for good.

    Args:
        user: ``NAME`` or ``NAME:GROUP``; numbers are taken for ids that are known to the system.

    Raises:
        InvalidInput: There is no such user or group, or it is root's.
        CertCoreError: The system refuses, or would let this process become root again.
    """
    name, separator, group = user.partition(":")
    entry = _find_user(name)
    group_id = _find_group(group) if separator else entry.pw_gid
    if entry.pw_uid == 0:
        raise InvalidInput("--user", "root is what is to be given up.", advice="Name a user without privileges.")
    if group_id == 0:
        raise InvalidInput("--user", "the group is root's.", advice="Name a group of its own: NAME:GROUP.")
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
        raise CertCoreError(f"This process cannot go on as {name}: {error.strerror}.", advice=_ADVICE) from None
    if os.getresuid() != (entry.pw_uid,) * 3 or os.getresgid() != (group_id,) * 3:
        raise CertCoreError(f"This process cannot go on as {name}.", advice=_ADVICE)
    _require_for_good(name)


def _require_for_good(name: str) -> None:
    """Refuse to serve where root can be had again: a capability to change users stays, from one user to another."""
    try:
        os.setresuid(0, 0, 0)
    except OSError:
        return
    raise CertCoreError(
        f"This process could become root again after it went on as {name}.",
        advice="Start it without the capability CAP_SETUID, and let the system start it as that user.",
    )


def _find_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError):
        raise InvalidInput("--user", f"there is no user {name[:40]!r}.") from None


def _find_group(name: str) -> int:
    try:
        group = grp.getgrgid(int(name)) if name.isascii() and name.isdigit() else grp.getgrnam(name)
    except (KeyError, OverflowError, ValueError):
        raise InvalidInput("--user", f"there is no group {name[:40]!r}.") from None
    return group.gr_gid
