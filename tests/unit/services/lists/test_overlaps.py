"""Certificates for the same names are pointed out to their owner."""

import pytest

from certcore.errors import InvalidInputError, NotFoundError
from certcore.model.hints import Notice


def _notes(core, certificate_id):
    return {
        hint.text.key: str(hint.text) for hint in core.certificates.hints(certificate_id) if isinstance(hint, Notice)
    }


def test_duplicates_are_pointed_out_to_their_owner(bench):
    """A second certificate for the same names is named, with its status; those of other tenants are not."""
    certificate_id = bench.active(aliases="www.shop.example", owner="anna")
    assert "core.duplicate" not in _notes(bench.core, certificate_id)
    same = bench.draft("www.shop.example", aliases="shop.example", owner="anna")
    other = bench.draft("shop.example", aliases="www.shop.example", owner="bert")
    nobodys = bench.draft("shop.example", aliases="www.shop.example")
    assert _notes(bench.core, certificate_id)["core.duplicate"].endswith(f"www.shop.example (draft, {same.id}).")
    assert f"(active, {certificate_id})" in _notes(bench.core, same.id)["core.duplicate"]
    for alone in (other, nobodys):
        assert {"core.duplicate", "core.overlap"}.isdisjoint(_notes(bench.core, alone.id))
    assert [certificate.id for certificate in bench.core.certificates.overlaps(certificate_id)] == [same.id]
    assert [certificate.id for certificate in bench.core.certificates.overlaps(other.id)] == []
    bench.core.certificates.delete(same.id)
    assert "core.duplicate" not in _notes(bench.core, certificate_id)


def test_overlaps_are_pointed_out(bench):
    """A wildcard and a name below it, or one name of many, overlap; names that only look alike do not."""
    certificate = bench.draft(wildcard=True, owner="anna")
    below = bench.draft("a.shop.example", owner="anna")
    alias = bench.draft("b.example", aliases="shop.example", owner="anna")
    for name in ("a.b.shop.example", "myshop.example", "shop.example.org"):
        bench.draft(name, owner="anna")
    assert {found.id for found in bench.core.certificates.overlaps(certificate.id)} == {below.id, alias.id}
    assert [certificate.id for certificate in bench.core.certificates.overlaps(below.id)] == [certificate.id]
    note = _notes(bench.core, certificate.id)["core.overlap"]
    assert below.id in note
    assert alias.id in note
    assert [found.id for found in bench.core.certificates.overlaps(certificate.id, limit=1)] == [below.id]
    for limit in (0, 1001, "1"):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.overlaps(certificate.id, limit=limit)
        assert refused.value.field == "limit"
    with pytest.raises(NotFoundError):
        bench.core.certificates.overlaps("nobody")


def test_a_page_names_a_few_of_many_overlaps(bench):
    """Hundreds of overlapping certificates do not fill the page."""
    certificate = bench.draft(wildcard=True)
    for number in range(12):
        bench.draft(f"d{number}.shop.example")
    assert _notes(bench.core, certificate.id)["core.overlap"].count("(draft,") == 5
    assert len(bench.core.certificates.overlaps(certificate.id, limit=100)) == 12
