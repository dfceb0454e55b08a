"""What the page of a certificate says about the moment of its renewal."""

import pytest

from certcore.model.hints import Notice


def _notices(bench, certificate_id):
    hints = bench.core.certificates.hints(certificate_id)
    return {hint.text.key: str(hint.text) for hint in hints if isinstance(hint, Notice)}


@pytest.mark.parametrize(("days", "is_told"), [(None, False), (30, False), (45, False), (46, True), (300, True)])
def test_a_number_of_days_that_does_not_count_is_told(bench, days, is_told):
    """The leaf lives 90 days, and half of that is the most: whoever asks for more sees when it really begins."""
    certificate_id = bench.active(renewal={"days_before": days})
    view = bench.core.certificates.view(certificate_id)
    assert view.leaf.lifetime.days == 90
    told = _notices(bench, certificate_id).get("core.days_before_capped", "")
    assert bool(told) == is_told
    if is_told:
        assert f"{days} days before the end" in told
        assert f"lives {view.leaf.lifetime.days} days" in told
        assert f"{view.renews_at:%Y-%m-%d %H:%M} UTC" in told
