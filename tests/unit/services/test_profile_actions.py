"""What can be done with a CA profile beyond editing it: offered, checked, run."""

import pytest

import certcore
from certcore import CertCore
from certcore.errors import InvalidInputError, NotFoundError
from certcore.model.form import fields_of


def test_an_action_is_offered_with_its_form_and_run(bench):
    """The form's fields are those of the action; the answer is a text with its parameters."""
    (offered,) = bench.core.authorities.actions(bench.authority.id)
    assert [field.name for field in fields_of(offered.form)] == ["whom"]
    done = bench.core.authorities.run_action(bench.authority.id, "greet", {"whom": "Anna"}, actor="root")
    assert str(done) == "root says hello to Anna by greet."


def test_what_does_not_fit_is_refused(bench):
    """An action that there is not, a missing value, and a profile that there is not."""
    with pytest.raises(InvalidInputError, match=r"Possible now: greet\."):
        bench.core.authorities.run_action(bench.authority.id, "explode")
    with pytest.raises(InvalidInputError) as caught:
        bench.core.authorities.run_action(bench.authority.id, "greet")
    assert caught.value.field == "whom"
    with pytest.raises(NotFoundError):
        bench.core.authorities.run_action("nobody", "greet", {"whom": "Anna"})


def test_the_forms_of_a_stored_profile(bench):
    """By default they are the fields of the module's classes; the only hints are buttons for its actions."""
    names = [field.name for field in bench.core.authorities.profile_form(bench.authority.id)]
    assert names == [field.name for field in bench.core.authorities.module_form("scripted")]
    assert [field.name for field in bench.core.authorities.certificate_form(bench.authority.id)] == ["order_reference"]
    (button,) = bench.core.authorities.hints(bench.authority.id)
    assert (button.name, [field.name for field in button.fields]) == ("greet", ["whom"])


def test_a_profile_has_buttons_for_those_who_may_act(bench):
    """Somebody who may only look at the profile is offered none of its actions."""

    class LookOnly:
        @certcore.hookimpl
        def certcore_authorize(self, actor, action):
            return action == "authority.view" or actor == "root"

    with CertCore.in_memory(plugins=[bench.ca.plugin(), LookOnly()], installed_plugins=False) as core:
        profile = core.authorities.create("test", module="scripted", actor="root").id
        assert core.authorities.hints(profile, actor="guest") == ()
        assert [hint.name for hint in core.authorities.hints(profile, actor="root")] == ["greet"]
