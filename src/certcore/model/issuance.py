"""Issuances: each is one attempt to obtain a leaf, with its own key, CSR, module state, chain and problem."""

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
    """How an issuance ended; an issuance under way has no outcome."""

    ISSUED = "issued"
    FAILED = "failed"
    ABANDONED = "abandoned"


@frozen(kw_only=True)
class Issuance:
    """One attempt to obtain a leaf. A certificate keeps all of its issuances; at most one of them is active."""

    id: str
    certificate_id: str
    #: The number of the issuance within its certificate, from 1.
    number: int
    purpose: Purpose
    #: The id of the CA profile, as it was when the issuance began; None when the leaf was issued elsewhere.
    authority_id: str | None
    #: The requested names, as they were when the issuance began.
    names: tuple[DnsName, ...]
    key_type: KeyType
    #: The name of the sealed private key: with this issuance's id, or that of a previous issuance whose key is kept.
    #: There is no such secret when the user keeps the key (an own CSR, or an import without it).
    key_name: SecretName
    #: Empty when the leaf was issued elsewhere.
    csr_pem: str
    #: The private key was never in the store: the CSR is the user's own, or the leaf was imported without its key.
    is_keyless: bool = False
    #: The CA module's state between steps, as plain JSON that only the module reads.
    module_state: Mapping[str, Any] | None = None
    #: The module's latest observations (DNS answers, for example), for the right column; plain JSON.
    findings: Mapping[str, Any] | None = None
    outcome: Outcome | None = None
    #: Whether the module may still hold something outside (TXT values) that it has to remove.
    needs_clean_up: bool = False
    #: The leaf, and the intermediates in order, as PEM; None until issued.
    leaf_pem: str | None = None
    chain_pem: str | None = None
    leaf: Leaf | None = None
    problem: Problem | None = None
    #: When the CA wants the leaf to be renewed; None if it was never asked.
    renewal_info: RenewalInfo | None = None
    #: How often the CA has failed this issuance for its own reasons; at `TOO_MUCH` the next fallback is tried.
    authority_failures: int = 0
    #: The notices that were given for this leaf; see `certcore.model.notice_policy`.
    told: tuple[str, ...] = ()
    #: The engine's state between steps.
    engine_state: EngineState = field(factory=EngineState, repr=False)
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def own_csr_pem(self) -> str:
        """The user's own CSR; empty if certcore made it."""
        return self.csr_pem if self.is_keyless else ""

    @property
    def fullchain_pem(self) -> str | None:
        """The leaf followed by its intermediates: what a server presents (RFC 8446 section 4.4.2)."""
        return None if self.leaf_pem is None else self.leaf_pem + (self.chain_pem or "")
