"""Problems whose texts can be translated, also after they were stored."""

from __future__ import annotations

import gettext
import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.messages import Message, sentences
from certcore.model.problem import Problem
from certcore.translations import Translator

_WAITS = Message("test.waits", "It waits {count} days for {who}.", {"count": 2, "who": Message("test.desk", "a desk")})


def _stored(problem: Problem) -> Problem:
    return Problem.from_json(json.loads(json.dumps(problem.to_json())))


def test_a_stored_problem_can_be_translated() -> None:
    """The key and the parameters survive, so that a page shows it in its own language."""

    class Texts(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return {"test.waits": "Wartet {count} Tage auf {who}.", "test.desk": "einen Schalter"}.get(message, message)

        def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
            return self.gettext(msgid1)

    problem = _stored(Problem(title=_WAITS, advice="Ask."))
    assert problem == Problem(title=_WAITS, advice="Ask.")
    assert problem.title == "It waits 2 days for a desk."
    assert problem.advice == "Ask."
    german = Translator("de", (Texts(),))
    assert german(problem.title_text) == "Wartet 2 Tage auf einen Schalter."
    assert german.document(problem.to_json())["texts"]["title"]["text"] == "Wartet 2 Tage auf einen Schalter."


def test_members_of_rfc_9457_stay_texts() -> None:
    """Whoever reads problem documents finds strings; the messages are an extension, and only where there are some."""
    document = Problem(title=_WAITS, advice="Ask.").to_json()
    assert (document["title"], document["advice"]) == ("It waits 2 days for a desk.", "Ask.")
    assert set(document["texts"]) == {"title"}
    assert "texts" not in Problem(title="It waits.").to_json()


def test_what_a_problem_says_is_one_message() -> None:
    """A page can show all of it in another language: what certcore says with a key, what the CA said as it is."""
    inner = Problem(identifier="shop.example", detail="no {TXT}")
    problem = Problem(title=_WAITS, detail="no", subproblems=(inner,))
    assert str(problem) == "It waits 2 days for a desk. The CA said: no shop.example: no {TXT}"
    assert str(problem.text) == str(problem)
    assert [part.key for part in problem.text.params["sentences"]] == [
        "test.waits",
        "problem.ca_said",
        "problem.of_name",
    ]


def test_values_are_kept_as_they_are_stored() -> None:
    """A problem is the same before and after it was stored, whatever its parameters are."""
    problem = Problem(title=Message("k", "{a} {b} {c}", {"a": None, "b": [Message("x", "y"), 3], "c": {"d": 1}}))
    assert _stored(problem) == problem
    assert hash(problem) == hash(evolve(problem, advice="Other."))


def test_a_text_that_cannot_be_filled_in_is_refused() -> None:
    """Who makes such a problem sees it at once, not the page that shows it."""
    with pytest.raises(LookupError):
        Problem(title=Message("k", "{missing}", {"other": 1}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["key", "text", "template", "params", "singular", "title"]), inner)
        ),
    )
)
def test_a_damaged_message_costs_no_problem(texts: object) -> None:
    """Whatever stands beside the title: the title is read, and it counts."""
    assert Problem.from_json({"title": "It failed.", "texts": texts}).title == "It failed."
    assert Problem.from_json({"title": "It failed.", "texts": {"title": texts}}).title == "It failed."


def test_sentences_follow_each_other() -> None:
    """Several whole sentences are one message, in which each has its own key; empty ones are left out."""
    assert sentences("", _WAITS, "") == _WAITS
    assert str(sentences("No.", "", _WAITS)) == "No. It waits 2 days for a desk."
