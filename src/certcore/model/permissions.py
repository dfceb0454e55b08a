"""The permissions that policies decide about, and the roles that have them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from certcore.model.lifecycle import Action

__all__ = ["GRANTS", "NEEDED", "Grant", "Permission", "Role"]


class Permission(StrEnum):
    """The permissions that ``certcore_authorize`` decides about. Every call of a service requires one of them."""

    #: List, search and count the certificates of one owner, or those without an owner.
    CERTIFICATE_LIST = "certificate.list"
    #: List, search and count the certificates of all owners.
    CERTIFICATE_LIST_ALL = "certificate.list_all"
    #: See a certificate: its page, hints, issuances and timeline, but not its private key.
    CERTIFICATE_VIEW = "certificate.view"
    #: Store a new draft.
    CERTIFICATE_CREATE = "certificate.create"
    #: Import a certificate that was issued elsewhere, with its private key.
    CERTIFICATE_IMPORT = "certificate.import"
    #: Change the form data or the renewal policy, and return a certificate to draft.
    CERTIFICATE_EDIT = "certificate.edit"
    #: Generate the key and CSR, which begins the issuance.
    CERTIFICATE_GENERATE_CSR = "certificate.generate_csr"
    #: Begin or cancel a new issuance for a certificate that has, or had, a leaf.
    CERTIFICATE_RENEW = "certificate.renew"
    #: Ask for an immediate step, and repeat a failed first issuance.
    CERTIFICATE_CHECK = "certificate.check"
    #: Run an action of the CA module that is meant for the certificate's owner.
    CERTIFICATE_ACT = "certificate.act"
    #: Run an action of the CA module that the certificate's owner must not run, for example approving its request.
    CERTIFICATE_APPROVE = "certificate.approve"
    #: Transfer a certificate to another owner, with its leaf and private key. The policy must also grant
    #: ``certificate.create`` for the new owner, and ``authority.use`` for the CA profiles.
    CERTIFICATE_TRANSFER = "certificate.transfer"
    #: Delete a certificate with its private keys.
    CERTIFICATE_DELETE = "certificate.delete"
    #: Ask the CA to revoke the leaf in service.
    CERTIFICATE_REVOKE = "certificate.revoke"
    #: Export the private key.
    CERTIFICATE_REVEAL_KEY = "certificate.reveal_key"
    #: See the deliveries to observers with the reasons of failures, which may contain output of commands and paths of
    #: the server. Retry failed deliveries.
    CERTIFICATE_DELIVERIES = "certificate.deliveries"
    #: See the CA profiles, but not their secrets.
    AUTHORITY_VIEW = "authority.view"
    #: Let a certificate use another CA profile: as its own, as a fallback, or for a revocation. The subject is the CA
    #: profile; the owner is that of the certificate.
    AUTHORITY_USE = "authority.use"
    #: Store a new CA profile.
    AUTHORITY_CREATE = "authority.create"
    #: Change a CA profile or its secrets.
    AUTHORITY_EDIT = "authority.edit"
    #: Test a CA profile with the real CA.
    AUTHORITY_CHECK = "authority.check"
    #: Run an action of the CA module on a CA profile, for example a rollover of its account's key.
    AUTHORITY_ACT = "authority.act"
    #: Delete a CA profile that no certificate uses.
    AUTHORITY_DELETE = "authority.delete"
    #: See the sealing keys and how many secrets are sealed with each.
    KEYRING_VIEW = "keyring.view"
    #: Add sealing keys, change the current key, re-wrap secrets, and retire keys.
    KEYRING_CHANGE = "keyring.change"


class Role(IntEnum):
    """A role in a panel. Each role includes the previous ones."""

    #: Sees everything, changes nothing.
    VIEWER = 1
    #: Manages certificates, but cannot export private keys.
    OPERATOR = 2
    #: Everything: CA profiles, private keys, sealing keys.
    ADMINISTRATOR = 3


@frozen
class Grant:
    """Who has a permission."""

    #: The lowest role that has the permission.
    role: Role
    #: Whether the owner of the certificate has the permission without any role.
    owner: bool = False


#: The grants of `certcore.services.roles.RolePolicy`.
GRANTS: Final[Mapping[Permission, Grant]] = MappingProxyType(
    {
        Permission.CERTIFICATE_LIST: Grant(Role.VIEWER, owner=True),
        Permission.CERTIFICATE_LIST_ALL: Grant(Role.VIEWER),
        Permission.CERTIFICATE_VIEW: Grant(Role.VIEWER, owner=True),
        Permission.CERTIFICATE_CREATE: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_IMPORT: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_EDIT: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_GENERATE_CSR: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_RENEW: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_CHECK: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_ACT: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_APPROVE: Grant(Role.OPERATOR),
        Permission.CERTIFICATE_TRANSFER: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_DELETE: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_REVOKE: Grant(Role.OPERATOR, owner=True),
        Permission.CERTIFICATE_REVEAL_KEY: Grant(Role.ADMINISTRATOR, owner=True),
        Permission.CERTIFICATE_DELIVERIES: Grant(Role.OPERATOR),
        Permission.AUTHORITY_VIEW: Grant(Role.VIEWER),
        Permission.AUTHORITY_USE: Grant(Role.OPERATOR, owner=True),
        Permission.AUTHORITY_CREATE: Grant(Role.ADMINISTRATOR),
        Permission.AUTHORITY_EDIT: Grant(Role.ADMINISTRATOR),
        Permission.AUTHORITY_CHECK: Grant(Role.OPERATOR),
        Permission.AUTHORITY_ACT: Grant(Role.ADMINISTRATOR),
        Permission.AUTHORITY_DELETE: Grant(Role.ADMINISTRATOR),
        Permission.KEYRING_VIEW: Grant(Role.ADMINISTRATOR),
        Permission.KEYRING_CHANGE: Grant(Role.ADMINISTRATOR),
    }
)

#: The permission that each user action needs. Pages do not offer actions that would be refused. An export without the
#: private key needs only the permission to view.
NEEDED: Final[Mapping[Action, Permission]] = MappingProxyType(
    {
        Action.EDIT: Permission.CERTIFICATE_EDIT,
        Action.GENERATE_CSR: Permission.CERTIFICATE_GENERATE_CSR,
        Action.BACK_TO_DRAFT: Permission.CERTIFICATE_EDIT,
        Action.CHECK_NOW: Permission.CERTIFICATE_CHECK,
        Action.RENEW: Permission.CERTIFICATE_RENEW,
        Action.REISSUE: Permission.CERTIFICATE_RENEW,
        Action.CANCEL_ATTEMPT: Permission.CERTIFICATE_RENEW,
        Action.EXPORT: Permission.CERTIFICATE_REVEAL_KEY,
        Action.REVOKE: Permission.CERTIFICATE_REVOKE,
        Action.DELETE: Permission.CERTIFICATE_DELETE,
    }
)
