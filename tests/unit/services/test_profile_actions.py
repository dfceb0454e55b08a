"""What can be done with a CA profile beyond editing it: offered, checked, run."""

import pytest

from certcore.errors import InvalidInput, NotFound
from certcore.model.form import fields_of


def test_an_action_is_offered_with_its_form_and_run(bench):
    """The form's fields are those of the action; the answer is a text with its parameters."""
    (offered,) = bench.core.authorities.actions(bench.authority.id)
    assert [field.name for field in fields_of(offered.form)] == ["whom"]
    done = bench.core.authorities.act(bench.authority.id, "greet", {"whom": "Anna"}, actor="root")
    assert str(done) == "root says hello to Anna by greet."


def test_what_does_not_fit_is_refused(bench):
    """An action that there is not, a missing value, and a profile that there is not."""
    with pytest.raises(InvalidInput, match=r"Possible now: greet\."):
        bench.core.authorities.act(bench.authority.id, "explode")
    with pytest.raises(InvalidInput) as caught:
        bench.core.authorities.act(bench.authority.id, "greet")
    assert caught.value.field == "whom"
    with pytest.raises(NotFound):
        bench.core.authorities.act("nobody", "greet", {"whom": "Anna"})


def test_the_forms_of_a_stored_profile(bench):
    """By default they are the fields of the module's classes, and there are no hints."""
    names = [field.name for field in bench.core.authorities.form_of(bench.authority.id)]
    assert names == [field.name for field in bench.core.authorities.form("scripted")]
    assert [field.name for field in bench.core.authorities.certificate_form(bench.authority.id)] == ["order_reference"]
    assert bench.core.authorities.hints(bench.authority.id) == ()
