"""All that a user does with certificates, under one roof."""

from __future__ import annotations

from attrs import frozen

from certcore.services.drafts import Drafts
from certcore.services.exports import Exports
from certcore.services.queries import Queries
from certcore.services.requests import Requests

__all__ = ["Certificates"]


@frozen(kw_only=True, eq=False, slots=False)
class Certificates(Drafts, Requests, Queries, Exports):
    """The certificates of this store: drafts, requests, queries and exports, each family in its own file."""
