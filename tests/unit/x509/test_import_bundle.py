"""The corpus: every good input gives the same bundle, every bad one the sentence that a person needs."""

import re

import pytest

from certcore.errors import CertCoreError, InvalidInputError, KeyMismatchError
from certcore.model.keys import KeyType
from certcore.x509.import_bundle import read_bundle
from support import bundle_corpus as corpus

UNCLEAR = re.compile(r"Traceback|<class|object at 0x|None\b|\{\}|  |\.\.(?!\.)")


def secrets_of(arguments):
    """Pieces of what was given that no sentence may repeat: lines of keys, and the password."""
    password = arguments.get("password")
    words = [password if isinstance(password, str) else ""]
    for given in arguments.values():
        text = given.decode("latin-1") if isinstance(given, bytes) else str(given)
        words += re.findall(r"[A-Za-z0-9+/]{40,}", text)
    return [word for word in words if word]


def refused(arguments):
    with pytest.raises(CertCoreError) as caught:
        read_bundle(**arguments, now=corpus.NOW)
    return caught.value


@pytest.mark.parametrize("case", corpus.GOOD)
def test_every_good_input_gives_the_same_bundle(world, case):
    """Byte for byte the same leaf, chain and key, in whatever form they came."""
    good = corpus.GOOD[case]
    who = getattr(world, good.who)
    bundle = read_bundle(**good.make(world), now=corpus.NOW)
    assert bundle.leaf_pem == who.leaf_pem
    assert bundle.chain_pem == (who.chain_pem if good.chain else "")
    assert (bundle.private_key.reveal_text() if bundle.private_key else None) == (who.key_pem if good.key else None)
    assert [str(name) for name in bundle.names] == [f"{good.who}.example", f"www.{good.who}.example"]
    assert bundle.key_type is (KeyType.RSA_2048 if good.who == "mail" else KeyType.EC_P256)
    assert bundle.leaf.spki_sha256 == corpus.fingerprint(who.key)
    expected = {
        *(() if good.key else ("bundle.no_private_key",)),
        *(() if good.chain else ("bundle.chain_missing",)),
        *(("bundle.passed_over",) if case == "a_request_beside_it" else ()),
    }
    assert {warning.key for warning in bundle.warnings} == expected


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("case", corpus.BAD)
def test_every_bad_input_gets_the_sentence_that_a_person_needs(world, case):
    """It names the field and what is wrong, and repeats nothing that was pasted."""
    bad = corpus.BAD[case]
    arguments = bad.make(world)
    error = refused(arguments)
    assert isinstance(error, InvalidInputError | KeyMismatchError)
    sentence = str(error)
    assert sentence.startswith(f"{bad.field}: ")
    if isinstance(error, InvalidInputError):
        assert error.field == bad.field
    for words in bad.words:
        assert words in sentence
    assert error.message.endswith(".")
    assert not UNCLEAR.search(sentence)
    assert not [word for word in secrets_of(arguments) if word in sentence]
    assert error.__cause__ is None


def test_the_corpus_is_not_small():
    """Sixty inputs were asked for."""
    assert len(corpus.GOOD) >= 60
    assert len(corpus.BAD) >= 60
