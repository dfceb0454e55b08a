"""All that a user does with certificates, under one roof."""

from __future__ import annotations

from attrs import frozen

from certcore.services.drafts import Drafts
from certcore.services.exports import Exports
from certcore.services.imports import Imports
from certcore.services.lists import Lists
from certcore.services.queries import Queries
from certcore.services.reissues import Reissues
from certcore.services.requests import Requests
from certcore.services.revocation import Revocation

__all__ = ["Certificates"]


@frozen(kw_only=True, eq=False, slots=False)
class Certificates(Drafts, Imports, Requests, Reissues, Lists, Queries, Exports, Revocation):
    """The certificates of this store: each family of calls is in its own file."""
