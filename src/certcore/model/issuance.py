"""Issuances: attempts to obtain a leaf, each with its own key, CSR, module state, chain and problem."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from attrs import field, frozen

from certcore.model.engine_state import EngineState
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.renewal_info import RenewalInfo
from certcore.model.secret import SecretName

__all__ = ["TOO_MUCH", "Issuance", "Outcome", "Purpose"]

#: The `Issuance.authority_failures` at which the next fallback is tried.
TOO_MUCH: Final = 6


class Purpose(StrEnum):
    """Why an issuance began."""

    ISSUE = "issue"
    RENEW = "renew"
    REISSUE = "reissue"
    #: The leaf was issued elsewhere and imported.
    IMPORT = "import"


class Outcome(StrEnum):
    """How an issuance ended. An issuance under way has no outcome."""

    ISSUED = "issued"
    FAILED = "failed"
    #: A user or a later issuance ended it early.
    ABANDONED = "abandoned"


@frozen(kw_only=True)
class Issuance:
    """One attempt to obtain a leaf. A certificate keeps all of its issuances; at most one of them is active."""

    id: str
    certificate_id: str
    #: The number of the issuance within its certificate, from 1.
    number: int
    purpose: Purpose
    #: The ID of the CA profile when the issuance began; None for an imported leaf.
    authority_id: str | None
    #: The names of the certificate when the issuance began.
    names: tuple[DnsName, ...]
    key_type: KeyType
    #: The name of the sealed private key. It contains the ID of this issuance, or that of a previous issuance whose key
    #: is reused. If `is_keyless`, there is no such secret.
    key_name: SecretName
    #: The CSR in PEM; empty for an imported leaf.
    csr_pem: str
    #: Whether the private key was never in the store, because the user supplied a CSR or imported the leaf without key.
    is_keyless: bool = False
    #: The CA module's state between steps, as plain JSON that only the module reads.
    module_state: Mapping[str, Any] | None = None
    #: The module's latest observations, for example DNS answers, as plain JSON for the right column.
    findings: Mapping[str, Any] | None = None
    #: How the issuance ended; None while it is under way.
    outcome: Outcome | None = None
    #: Whether the module may still hold resources outside, for example TXT values, that it has to release.
    needs_clean_up: bool = False
    #: The leaf in PEM; None until it is issued.
    leaf_pem: str | None = None
    #: The intermediates in PEM, in order; None until the leaf is issued.
    chain_pem: str | None = None
    #: The details of the leaf; None until it is issued.
    leaf: Leaf | None = None
    #: Why the last step or the issuance failed; None if it did not fail.
    problem: Problem | None = None
    #: When the CA suggests to renew the leaf; None if it was never asked.
    renewal_info: RenewalInfo | None = None
    #: How often this issuance failed for the CA's own reasons. At `TOO_MUCH`, the next fallback is tried.
    authority_failures: int = 0
    #: The notices that were reported for this leaf, see `certcore.model.notice_policy`.
    told: tuple[str, ...] = ()
    #: The engine's state between steps.
    engine_state: EngineState = field(factory=EngineState, repr=False)
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def own_csr_pem(self) -> str:
        """The CSR in PEM if the user supplied it; empty if certcore made it."""
        return self.csr_pem if self.is_keyless else ""

    @property
    def fullchain_pem(self) -> str | None:
        """The leaf followed by its intermediates: what a server presents (RFC 8446 section 4.4.2)."""
        return None if self.leaf_pem is None else self.leaf_pem + (self.chain_pem or "")
