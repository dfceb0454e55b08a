"""Owners and ids that look alike: nobody sees the rows of another one, on every store."""

import unicodedata

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from certcore import RolePolicy
from certcore.errors import AccessDeniedError, InvalidInputError, InvalidNameError, NotFoundError
from certcore.testing.contracts.keys import LOOKALIKES
from support.examples import examples
from support.tenants import ROLES, STORES, opened_store

#: A few letters in upper and lower case, composed and decomposed, blanks, and characters of no width.
ALPHABET = "aAbs\N{LATIN SMALL LETTER E WITH ACUTE}e\N{COMBINING ACUTE ACCENT}\N{LATIN SMALL LETTER SHARP S} \t"
UNSEEN = "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH JOINER}\N{RIGHT-TO-LEFT MARK}\N{SOFT HYPHEN}\N{NO-BREAK SPACE}"
KEYS = st.text(ALPHABET + UNSEEN, min_size=1, max_size=6) | st.sampled_from(LOOKALIKES)


@st.composite
def _pairs(draw):
    """Two different keys, the second made from the first."""
    key = draw(KEYS)
    alike = draw(
        st.sampled_from(
            [
                key + " ",
                " " + key,
                key + "\N{ZERO WIDTH SPACE}",
                key.swapcase(),
                key.casefold(),
                key.strip(),
                unicodedata.normalize("NFC", key),
                unicodedata.normalize("NFD", key),
                unicodedata.normalize("NFKC", key),
                draw(KEYS),
            ]
        )
    )
    assume(alike not in (key, ""))
    return key, alike


@pytest.fixture(params=STORES)
def shared(request, tmp_path):
    with opened_store(request, request.param, tmp_path, RolePolicy(ROLES)) as core:
        yield core, core.authorities.create("test", module="scripted").id


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=_pairs())
def test_no_two_keys_see_each_others_rows(shared, keys):
    """Whatever two owners are called: each is refused at the door, or sees the own certificates and no others."""
    core, authority = shared
    certificates = core.certificates
    made = {}
    for key in keys:
        try:
            made[key] = certificates.create("shop.example", authority=authority, owner=key, actor=key).id
        except InvalidInputError:
            assert key.strip() != key or not key.isprintable()
    for key, one in made.items():
        assert {row.owner for row in certificates.list(owner=key, actor=key).items} == {key}
        assert {row.owner for row in certificates.search("shop", owner=key, actor=key)} == {key}
        assert sum(certificates.count_by_status(owner=key, actor=key).values()) >= 1
        assert {row.owner for row in certificates.overlaps(one, actor=key)} <= {key}
        for other in set(made) - {key}:
            for call in (certificates.get, certificates.view, certificates.timeline, certificates.delete):
                with pytest.raises(NotFoundError):
                    call(one, actor=other)
            with pytest.raises(AccessDeniedError):
                certificates.list(owner=key, actor=other)


@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_id_is_found_by_itself_alone(shared, data):
    """Padded, in other case, or with characters of no width it is no id, or nobody's; the policy is not even asked."""
    core, authority = shared
    certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna").id
    place = data.draw(st.integers(0, 1)) * len(certificate_id)
    added = data.draw(st.sampled_from([*" \t\n", *UNSEEN, "\x00", "\N{COMBINING ACUTE ACCENT}", "x"]))
    for wrong in (certificate_id[:place] + added + certificate_id[place:], certificate_id.swapcase()):
        for call in (core.certificates.get, core.certificates.find, core.certificates.delete):
            with pytest.raises((InvalidInputError, InvalidNameError, NotFoundError)):
                call(wrong, actor="anna")
        with pytest.raises(InvalidInputError):
            core.certificates.create("shop.example", authority=wrong + " ", owner="anna", actor="anna")
    assert core.certificates.get(certificate_id, actor="anna").id == certificate_id
