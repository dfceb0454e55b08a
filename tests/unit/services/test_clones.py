"""Clones: the same form, and no key."""

import pytest
from attrs import evolve

from certcore import Status
from certcore.errors import (
    InvalidInputError,
)
from certcore.model.keys import KeyType
from certcore.testing.scripted_ca import Act
from support.reissues import own_csr


def test_a_copy_has_the_same_form_and_no_key(bench):
    """Names, CA profile, key type, subject, policy and settings are copied; leaf, key and history are not."""
    other = bench.core.authorities.create("other", module="scripted")
    certificate_id = bench.active(
        aliases="www.shop.example",
        wildcard=True,
        owner="anna",
        key_type="ec-p384",
        subject={"organization": "Shop"},
        renewal={"days_before": 9, "rotate_key": False},
        fallbacks=[other.id],
        module_data={"order_reference": "7"},
    )
    original = bench.get(certificate_id)
    copy = bench.core.certificates.clone(certificate_id, actor="bert")
    assert copy == bench.get(copy.id)
    assert copy.id != certificate_id
    same = {"id": "", "status": Status.DRAFT, "active_issuance_id": None, "not_after": None, "version": 1}
    assert evolve(copy, **same) == evolve(original, **same, created_at=copy.created_at, updated_at=copy.updated_at)
    assert bench.core.certificates.issuances(copy.id) == []
    (event,) = bench.core.certificates.timeline(copy.id)
    assert (event.kind, event.actor, event.data["cloned_from"]) == ("created", "bert", certificate_id)
    assert bench.core.certificates.view(copy.id).schedule.due_at is None
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.generate_csr(copy.id)
    bench.core.reconcile(copy.id)
    first, second = bench.core.certificates.view(certificate_id), bench.core.certificates.view(copy.id)
    assert first.leaf.spki_sha256 != second.leaf.spki_sha256
    assert set(first.leaf.names) == set(second.leaf.names)


def test_a_copy_for_another_name(bench):
    """With another name the aliases stay behind, and so does a CSR; a tenant can be given."""
    certificate_id = bench.active(aliases="www.shop.example", wildcard=True)
    copy = bench.core.certificates.clone(certificate_id, "b.example", owner="bert")
    assert [name.ascii for name in copy.names] == ["b.example", "*.b.example"]
    assert copy.owner == "bert"
    assert [name.ascii for name in bench.core.certificates.clone(certificate_id, "*.b.example").names] == [
        "*.b.example"
    ]
    mine = bench.draft(None, csr=own_csr("own.example"))
    assert bench.core.certificates.clone(mine.id).csr_pem == mine.csr_pem
    other = bench.core.certificates.clone(mine.id, "b.example")
    assert (other.csr_pem, other.key_type) == ("", KeyType.EC_P384)
    for wrong in ("a_b.example", ""):
        with pytest.raises(InvalidInputError):
            bench.core.certificates.clone(certificate_id, wrong)
    with pytest.raises(InvalidInputError):
        bench.core.certificates.clone(certificate_id, owner="x" * 101)
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    with pytest.raises(InvalidInputError):
        bench.core.certificates.clone(certificate_id)
