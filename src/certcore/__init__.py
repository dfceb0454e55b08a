"""certcore: the whole life of TLS certificates inside somebody else's software.

`CertCore` is the one object to hold; what goes in and comes out are frozen values.
"""

from typing import TYPE_CHECKING

from certcore.errors import CertCoreError
from certcore.hookspecs import hookimpl
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action, Status
from certcore.model.notices import NoticePolicy
from certcore.model.permissions import Permission, Role
from certcore.model.renewal import RenewalPolicy
from certcore.model.subject import Subject
from certcore.services.roles import RolePolicy

if TYPE_CHECKING:
    from certcore.core import CertCore, obtain
    from certcore.zone_serving import serve_zones

__all__ = [
    "Action",
    "CertCore",
    "CertCoreError",
    "KeyType",
    "NoticePolicy",
    "Permission",
    "RenewalPolicy",
    "Role",
    "RolePolicy",
    "Status",
    "Subject",
    "hookimpl",
    "obtain",
    "serve_zones",
]


def __getattr__(name: str) -> object:
    """Load the engine when somebody asks for it: a plugin or a script that only wants the values starts quickly."""
    if name in ("CertCore", "obtain"):
        from certcore import core  # noqa: PLC0415 - see above

        return getattr(core, name)
    if name == "serve_zones":
        from certcore.zone_serving import serve_zones  # noqa: PLC0415 - see above

        return serve_zones
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
