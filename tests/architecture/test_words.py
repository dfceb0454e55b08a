"""The words: names and phrases that the code does not use, with what to write instead.

The glossary of the design, as far as a machine can keep it. Prose is still read by people.
"""

import ast
import bisect
import re

import pytest

#: Names of locals and arguments that do not say what they hold: a certificate is `certificate`, not `one`.
_EMPTY_NAMES = frozenset(
    {"asked", "came", "found", "given", "got", "held", "how", "it", "looked", "one", "said", "seen", "some", "taken"}
    | {"these", "thing", "things", "this", "those", "told", "tried", "wanted", "what", "who", "whom"}
)

#: Arguments of public errors that are part of the stable `params`.
_KEPT_NAMES = {
    ("certcore/errors/base.py", "found"): "StaleWriteError: the version that is stored",
    ("certcore/errors/storage.py", "found"): "UnsupportedSchemaError: the revision of the database",
}

#: What is not written in comments, docstrings and texts, and what is written instead.
_PHRASES = {
    r"outbox rows?": "delivery",
    r"\bthe yes\b": "the agreement, the consent",
    r"\bdice\b": "random source",
    r"\bin the same breath\b": "under the same lock, in the same transaction",
    r"\bhas to say\b": "reports, shows",
    r"\bin vain\b": "without success",
    r"\bmade good\b": "repaired",
    r"\bnobody's any more\b": "released",
    r"\bnone the worse\b": "say what happens",
    r"\bof theirs\b": "of the owner, of the actor",
    r"\bwhose it is\b": "the owner, the certificate",
    r"\b(tried|looked for|asked) again by (itself|themselves)\b": "retried, checked again automatically",
    r"\b(goes on|begins) by itself\b": "continues, begins automatically",
    r"\brenew(s|ed)? (it )?by (itself|themselves)\b": "renews automatically",
    r"\bnothing is to be done\b": "no action is needed",
    r"\bIf it stays(,| so)": "if it persists",
    r"\b(passes|pass) by (itself|themselves)\b": "resolves on its own",
    r"\b(one|name|number|id|text|URL|date|moment) that is none\b": "an invalid one",
}


def _bound_names(module):
    """The names of locals and arguments, each with its line; fields of classes are not among them."""
    fields = {
        id(statement.target)
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    for node in module.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def _prose(module):
    """Texts, docstrings included, with the line on which each begins; and what stands behind each ``#``."""
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for number, line in enumerate(module.lines, start=1):
        if "#" in line:
            yield number, line.partition("#")[2]


def test_locals_say_what_they_hold(sources):
    """A local or an argument is named after its content."""
    offenders = {
        f"{module.name}:{line} {name}"
        for module in sources
        for line, name in _bound_names(module)
        if name in _EMPTY_NAMES and (module.name, name) not in _KEPT_NAMES
    }
    assert not sorted(offenders)


@pytest.fixture(scope="module")
def prose(sources):
    """Every comment and text of the sources on a line of its own, and where each begins: offsets and places.

    One long text is searched much faster than a hundred thousand short ones. No phrase reaches over the end of a line:
    their blanks are blanks.
    """
    lines, offsets, places, offset = [], [], [], 0
    for module in sources:
        for line, text in _prose(module):
            lines.append(" ".join(text.split()))
            offsets.append(offset)
            places.append(f"{module.name}:{line}")
            offset += len(lines[-1]) + 1
    return "\n".join(lines), offsets, places


@pytest.mark.parametrize("phrase", sorted(_PHRASES))
def test_riddles_are_said_plainly(prose, phrase):
    """Comments, docstrings and texts use the words of the glossary."""
    text, offsets, places = prose
    found = {
        places[bisect.bisect_right(offsets, match.start()) - 1] for match in re.finditer(phrase, text, re.IGNORECASE)
    }
    offenders = [f"{place} write: {_PHRASES[phrase]}" for place in sorted(found)]
    assert not offenders
