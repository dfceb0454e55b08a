"""Labels: what pages call statuses, actions, events and their like."""

from enum import Enum

import pytest

from certcore import Action, EventKind, KeyType, Permission, RevocationReason, Role, Status
from certcore.hints import Level, RecordState, Severity, StepState, label_of
from certcore.model.labels import _LABELS


@pytest.mark.parametrize("kind", list(_LABELS), ids=lambda kind: kind.__name__)
def test_every_member_has_a_label_of_its_own(kind):
    """A page in any language shows a word for whatever it is given, and no two look the same."""
    labels = [label_of(member) for member in kind]
    assert all(label.key and label.text[0].isupper() for label in labels)
    assert len({label.key for label in labels}) == len({label.text for label in labels}) == len(labels)


@pytest.mark.parametrize(
    "kind",
    [Action, EventKind, KeyType, Level, Permission, RecordState, RevocationReason, Role, Severity, Status, StepState],
)
def test_what_pages_show_has_labels(kind):
    """None of the public enumerations that a page shows is left out."""
    assert kind in _LABELS


def test_members_with_the_same_text_have_their_own_labels():
    """``expired`` is a status, and an event that has happened."""
    assert (Status.EXPIRED, label_of(Status.EXPIRED).key) == (EventKind.EXPIRED, "status.expired")
    assert label_of(EventKind.EXPIRED).key == "event.expired"


def test_other_values_have_no_label():
    """A text is refused: it does not say what it is a member of."""

    class Colour(Enum):
        RED = "red"

    for value in (Colour.RED, "draft"):
        with pytest.raises(TypeError, match="no labels"):
            label_of(value)
