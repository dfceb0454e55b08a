"""All calls for certificates, in one class."""

from __future__ import annotations

from attrs import frozen

from certcore.services.bulk import BulkCalls
from certcore.services.certificate_actions import PageActions
from certcore.services.certificate_forms import CertificateForms
from certcore.services.certificate_list import Lists
from certcore.services.imports import Imports
from certcore.services.revocation import Revocation
from certcore.services.transfers import Transfers

__all__ = ["Certificates"]


@frozen(kw_only=True, eq=False, slots=False)
class Certificates(CertificateForms, PageActions, BulkCalls, Imports, Lists, Revocation, Transfers):
    """The calls for certificates: `certcore.CertCore.certificates`."""
