"""Many certificates at once: a result for each, and the failure of one stops no other."""

import pytest

from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError, TransitionNotAllowedError
from certcore.model.lifecycle import Status


def _errors(results):
    return [None if result.ok else type(result.error) for result in results]


def test_each_has_its_result(bench_with_roles):
    """What the policy or the status refuses is the error of one; the others are done."""
    bench = bench_with_roles
    certificates = bench.core.certificates
    active, other, draft = (
        bench.active(owner="anna"),
        bench.active("b.example", owner="bert"),
        bench.draft(owner="anna"),
    )
    ids = [active, other, draft.id, "no-such-id", active]
    results = certificates.bulk_renew(ids, actor="anna")
    assert [result.certificate_id for result in results] == ids[:4]
    assert _errors(results) == [None, NotFoundError, TransitionNotAllowedError, NotFoundError]
    assert results[0].value.issuance_id != results[0].value.active_issuance_id
    exported = certificates.bulk_export([active, other], "pem", reason="test", actor="ada")
    assert _errors(exported) == [None, None]
    assert all(result.value.files for result in exported)
    assert "PRIVATE KEY" not in repr(exported)
    assert _errors(certificates.bulk_export([active], "pem", reason="test", actor="otto")) == [AccessDeniedError]
    assert _errors(certificates.bulk_export([active], "pem", reason="", actor="ada")) == [InvalidInputError]
    revoked = certificates.bulk_revoke([active, draft.id], reason="superseded", actor="anna")
    assert _errors(revoked) == [None, TransitionNotAllowedError]
    assert revoked[0].value.status is Status.REVOKED
    assert _errors(certificates.bulk_delete([draft.id, other], actor="vera")) == [AccessDeniedError, AccessDeniedError]
    assert _errors(certificates.bulk_delete([draft.id, other], actor="anna")) == [None, NotFoundError]
    assert certificates.get(other).owner == "bert"


def test_the_number_is_bounded(bench):
    """More than 200, or a malformed id, is refused before anything is done."""
    draft = bench.draft().id
    for ids in ([draft, *map(str, range(200))], [draft, ""], [draft, 5], draft, None, [draft, "x\x07"]):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.bulk_delete(ids)
        assert refused.value.field == "certificate_ids"
    with pytest.raises(InvalidInputError):
        bench.core.certificates.bulk_revoke([draft], reason="because")
    assert bench.get(draft).id == draft
    assert bench.core.certificates.bulk_delete([]) == ()
