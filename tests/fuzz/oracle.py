"""What must hold of every outcome, whatever was fed in."""

import re

from certcore.errors import CertCoreError

_UNCLEAR = ("Traceback", "<class", "object at 0x", "Error(", "Exception(")
_RUN = re.compile(r"[A-Za-z0-9+/]{24,}")
_FINGERPRINT = re.compile(r"\b[0-9a-f]{64}\b")
_LONGEST = 2000


def check_error(error, *given):
    """An error of ours is a sentence: not empty, not the inside of a program, and no piece of what was pasted.

    Args:
        error: What was raised on purpose.
        given: The texts that were fed in.
    """
    assert isinstance(error, CertCoreError)
    sentence = str(error)
    assert error.message.strip(), "an empty sentence"
    assert len(sentence) <= _LONGEST, "a sentence that nobody reads"
    assert sentence.isprintable(), f"control characters in {sentence!r}"
    for unclear in _UNCLEAR:
        assert unclear not in sentence, sentence
    for run in _RUN.findall(_FINGERPRINT.sub("", sentence)):
        assert not any(run in text for text in given), "a piece of the input is repeated"
