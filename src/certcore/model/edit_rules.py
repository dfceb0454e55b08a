"""The one rule for which fields of a certificate may be edited when."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from certcore.model.lifecycle import Status

__all__ = ["EditMethod", "EditRule", "edit_method"]


class EditRule(StrEnum):
    """When a field may be edited."""

    #: In every status.
    ALWAYS = "always"
    #: In draft, and beside a leaf while no issuance is under way; the next issuance uses the new value.
    BETWEEN = "between"
    #: In draft; beside a leaf only with a reissue, as the leaf in service has the old value.
    REISSUE = "reissue"
    #: Only when the certificate is created.
    CREATE = "create"
    #: Never: the field is shown only.
    NEVER = "never"


class EditMethod(StrEnum):
    """The call that sets or changes a field."""

    #: ``certificates.create``, or ``authorities.create``: only in the form of a new one.
    CREATE = "create"
    #: ``certificates.edit``
    EDIT = "edit"
    #: ``certificates.reissue``: the change takes a new leaf.
    REISSUE = "reissue"


#: Statuses with a leaf that a reissue can replace.
_WITH_LEAF: Final = frozenset({Status.ACTIVE, Status.EXPIRED, Status.REVOKED})


def edit_method(rule: EditRule, status: Status, *, under_way: bool) -> EditMethod | None:
    """The call that changes a field of this rule.

    Args:
        rule: The field's rule.
        status: The certificate's status.
        under_way: Whether an issuance is under way beside a leaf.

    Returns:
        None when the field cannot be changed now.
    """
    if rule is EditRule.ALWAYS or (status is Status.DRAFT and rule in (EditRule.BETWEEN, EditRule.REISSUE)):
        return EditMethod.EDIT
    if status not in _WITH_LEAF:
        return None
    if rule is EditRule.BETWEEN:
        # An issuance keeps the values it began with; a reissue gives it up and begins another.
        return EditMethod.REISSUE if under_way else EditMethod.EDIT
    return EditMethod.REISSUE if rule is EditRule.REISSUE else None
