"""The new status after an action, and the error for actions that a status does not allow."""

from __future__ import annotations

from certcore.errors import TransitionNotAllowedError
from certcore.model.labels import label_of
from certcore.model.lifecycle import TRANSITIONS, Action, Status, allowed_actions

__all__ = ["transition"]


def transition(status: Status, action: Action) -> Status:
    """The new status after an action.

    Raises:
        TransitionNotAllowedError: The status does not allow the action; the error lists the actions that it allows.
    """
    following = TRANSITIONS.get((status, action))
    if following is None:
        allowed = allowed_actions(status)
        titles = {str(member): label_of(member) for member in (status, action, *allowed)}
        raise TransitionNotAllowedError(status, action, allowed, titles=titles)
    return following
