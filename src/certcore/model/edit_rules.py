"""When each field of a certificate may be edited, and by which call."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from certcore.model.lifecycle import Status

__all__ = ["EditMethod", "EditRule", "edit_method"]


class EditRule(StrEnum):
    """When a field may be edited."""

    #: In every status.
    ALWAYS = "always"
    #: In draft, and with a leaf while no issuance is under way. The next issuance uses the new value.
    BETWEEN = "between"
    #: In draft. With a leaf, only through a reissue, because the leaf in service contains the old value.
    REISSUE = "reissue"
    #: Only when the certificate is created.
    CREATE = "create"
    #: Never: the field is read-only.
    NEVER = "never"


class EditMethod(StrEnum):
    """The call that sets or changes a field."""

    #: ``certificates.create`` or ``authorities.create``.
    CREATE = "create"
    #: ``certificates.edit``
    EDIT = "edit"
    #: ``certificates.reissue``, because the change needs a new leaf.
    REISSUE = "reissue"


#: Statuses with a leaf that a reissue can replace.
_WITH_LEAF: Final = frozenset({Status.ACTIVE, Status.EXPIRED, Status.REVOKED})


def edit_method(rule: EditRule, status: Status, *, under_way: bool) -> EditMethod | None:
    """The call that changes a field with this rule.

    Args:
        rule: The field's rule.
        status: The certificate's status.
        under_way: Whether an issuance is under way beside a leaf.

    Returns:
        The call; None if the field cannot be changed now.
    """
    if rule is EditRule.ALWAYS or (status is Status.DRAFT and rule in (EditRule.BETWEEN, EditRule.REISSUE)):
        return EditMethod.EDIT
    if status not in _WITH_LEAF:
        return None
    if rule is EditRule.BETWEEN:
        # An issuance keeps the values with which it began. A reissue abandons it and begins another one.
        return EditMethod.REISSUE if under_way else EditMethod.EDIT
    return EditMethod.REISSUE if rule is EditRule.REISSUE else None
