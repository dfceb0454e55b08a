"""The budget of an account, without a profile."""

from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.profile.limits import Limit
from certcore_puq_acme.rate_limits.limiter import Budget


def make_budget(*limits, account="account/ca/1", max_orders=1000, documents=None, **more):
    """A budget with limits as people write them."""
    return Budget(
        documents=documents or MemoryDocuments(),
        account=account,
        limits=tuple(Limit.parse(limit, "limits") for limit in limits),
        max_orders=max_orders,
        **more,
    )
