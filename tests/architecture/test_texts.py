"""Texts that people read can be translated: each has a key, and every language has it."""

import runpy

import pytest

from certcore.testing.texts import sentences_without_key

#: Errors that no page shows: they are caught, and their text goes into one that has a key, or into a log.
_INTERNAL = frozenset(
    {"AddressRefusedError", "ConnectionBrokenError", "MalformedQueryError", "ProtocolError", "UnexpectedResultError"}
)
#: Texts with a blank that are no sentences: what a sealed secret or a kind of object is called.
_NAMES = ("NotFoundError: 'sealing key'", "UnsealError: 'data key'")
#: What only the author of a plugin can repair, and names of services.
_KEPT = ("PluginError: 'it did not call before_serving.'", "ZoneWriteError: f'{self.provider} (by dns-lexicon)'")


@pytest.fixture(scope="module")
def texts(root):
    return runpy.run_path(str(root / "scripts/texts.py"))


@pytest.fixture(scope="module")
def catalogues(root, texts):
    return texts["catalogues"](root)


def test_every_text_has_a_key_that_a_program_can_read(catalogues):
    """A key has one text, and both are written where the text is used."""
    faults = [str(fault) for files in catalogues for fault in files.unreadable]
    assert faults == []


def test_errors_and_problems_have_messages(root, texts):
    """A page shows them in its reader's language; the few that stay English are named here."""
    offenders = [
        str(fault)
        for package, left_out in (("certcore", texts["LEFT_OUT"]), ("certcore_puq_acme", ()))
        for fault in sentences_without_key(root / "src" / package, left_out)
        if fault.reason.partition(":")[0] not in _INTERNAL
        and fault.reason not in (*_NAMES, *_KEPT)
        and "urn:certcore:" not in fault.reason
    ]
    assert offenders == []


def test_every_language_has_every_text(catalogues):
    """Complete, up to date and compiled, with the parameters of the English text: `make texts` brings it in step."""
    faults = [fault for files in catalogues for fault in files.faults()]
    assert faults[:20] == []
