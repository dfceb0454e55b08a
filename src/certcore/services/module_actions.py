"""Actions of CA modules: validate them, find them by name, and show them as buttons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
from attrs import evolve

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.form import fields_of
from certcore.model.hints import ActionButton, Hint
from certcore.model.input_limits import LONGEST_ID, members, refuse_unstorable, text_within
from certcore.model.lifecycle import Action
from certcore.model.permissions import Permission
from certcore.model.plugin_results import SHORT_NAME, UnexpectedResultError, conform
from certcore.model.preflight import PREFLIGHT
from certcore.ports.module_actions import CertificateAction, ProfileAction

__all__ = [
    "check_call",
    "sound_certificate_actions",
    "sound_profile_actions",
    "unknown_action",
    "with_buttons",
]

#: The largest number of actions on a CA profile or a certificate.
_MOST_ACTIONS: Final = 30
#: The permissions that an action on a certificate may ask for.
_PERMISSIONS: Final = (Permission.CERTIFICATE_ACT, Permission.CERTIFICATE_APPROVE)
_Actions = TypeVar("_Actions", tuple[ProfileAction, ...], tuple[CertificateAction, ...])


def sound_profile_actions(returned: object) -> tuple[ProfileAction, ...]:
    """Validate the actions that a module returned for a CA profile.

    Raises:
        UnexpectedResultError: The value has another type, or an action cannot be offered.
    """
    actions: tuple[ProfileAction, ...] = conform(returned, tuple[ProfileAction, ...])
    return _checked(actions)


def sound_certificate_actions(returned: object) -> tuple[CertificateAction, ...]:
    """Validate the actions that a module returned for a certificate.

    Raises:
        UnexpectedResultError: As in `sound_profile_actions`.
    """
    actions: tuple[CertificateAction, ...] = conform(returned, tuple[CertificateAction, ...])
    for action in _checked(actions):
        if action.permission not in _PERMISSIONS:
            allowed = " or ".join(str(permission) for permission in _PERMISSIONS)
            raise UnexpectedResultError(
                f"the action {action.name!r} with the permission {action.permission}, where {allowed} belongs"
            )
    return actions


def _checked(actions: _Actions) -> _Actions:
    names = [action.name for action in actions]
    if len(names) > _MOST_ACTIONS:
        raise UnexpectedResultError(f"{len(names)} actions; {_MOST_ACTIONS} are allowed")
    for action in actions:
        shown = action.name[:60]
        if not SHORT_NAME.fullmatch(action.name):
            raise UnexpectedResultError(
                f"an action named {shown!r}, where lower-case letters, digits and underscores belong"
            )
        if action.name in {*Action, PREFLIGHT}:
            raise UnexpectedResultError(f"an action named {shown!r}, which is an action of certcore")
        if names.count(action.name) > 1:
            raise UnexpectedResultError(f"two actions named {shown!r}")
        try:
            is_form = attrs.has(action.form) and fields_of(action.form) is not None
        except TypeError:
            is_form = False
        if not is_form:
            raise UnexpectedResultError(
                f"the action {shown!r} whose form is not an attrs class with fields of certcore.plugin.form"
            )
    return actions


def check_call(action: object, values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Validate the arguments of a call that runs an action, and return the values.

    Raises:
        InvalidInputError: The name or the values have a wrong type, or cannot be stored.
    """
    text_within("action", action, LONGEST_ID)
    checked = members("values", values or {})
    refuse_unstorable(checked)
    return checked


def unknown_action(action: str, possible: Iterable[str]) -> InvalidInputError:
    """The error for an action that is not offered now."""
    return InvalidInputError(
        "action",
        Message("field.action.unknown", "there is no action {action}.", {"action": repr(action[:40])}),
        advice=Message("field.action.possible", "Possible now: {actions}.", {"actions": ", ".join(possible) or "-"}),
    )


def with_buttons(
    hints: Iterable[Hint],
    offered: Sequence[ProfileAction] | Sequence[CertificateAction],
    refused: Collection[str] = (),
) -> tuple[Hint, ...]:
    """The hints of a module with a button for each of its actions.

    Args:
        hints: The hints that the module returned. Their buttons keep their place, and are completed.
        offered: The actions that the actor may run.
        refused: The names of the other actions, which have no button.
    """
    buttons = {action.name: _button(action) for action in offered}
    shown: list[Hint] = []
    for hint in hints:
        if not isinstance(hint, ActionButton):
            shown.append(hint)
        elif hint.name in buttons:
            shown.append(evolve(buttons.pop(hint.name), label=hint.label))
        elif hint.name not in refused:
            shown.append(hint)
    return (*shown, *buttons.values())


def _button(action: ProfileAction | CertificateAction) -> ActionButton:
    return ActionButton(
        name=action.name,
        label=action.label,
        confirm=action.confirm,
        help=action.help,
        fields=fields_of(action.form),
    )
