"""One attempt to obtain a leaf: its own key, CSR, module state, chain and problem."""

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

#: `Issuance.authority_failures` of a CA that has failed often enough, or for good.
TOO_MUCH: Final = 6


class Purpose(StrEnum):
    """Why an issuance was begun."""

    ISSUE = "issue"
    RENEW = "renew"
    REISSUE = "reissue"
    #: It was issued elsewhere, and taken in.
    IMPORT = "import"


class Outcome(StrEnum):
    """How an issuance ended; while it is under way it has none."""

    ISSUED = "issued"
    FAILED = "failed"
    ABANDONED = "abandoned"


@frozen(kw_only=True)
class Issuance:
    """One attempt to obtain a leaf. History stays: a certificate has many, one of them active."""

    id: str
    certificate_id: str
    #: Counts the issuances of a certificate from 1.
    number: int
    purpose: Purpose
    #: The CA profile that it goes to, as it was when the attempt began; None when it was issued elsewhere.
    authority_id: str | None
    #: The names that were asked for, as they were when the attempt began.
    names: tuple[DnsName, ...]
    key_type: KeyType
    #: Where the private key is sealed: usually under this issuance's own id, or the previous one's when it is kept.
    #: Nothing is there when the user keeps the key (a CSR of the user's own, or an import without it).
    key_name: SecretName
    #: Empty when it was issued elsewhere.
    csr_pem: str
    #: The private key never was here: the CSR is the user's own, or the leaf was imported without its key.
    is_keyless: bool = False
    #: What the CA module remembers between steps, plain JSON; its own business.
    module_state: Mapping[str, Any] | None = None
    #: What the module last saw in the world (DNS answers, say), for the right column; plain JSON.
    findings: Mapping[str, Any] | None = None
    outcome: Outcome | None = None
    #: The module may still hold something outside (TXT values) that is to be taken back.
    needs_clean_up: bool = False
    #: The leaf, and the intermediates in order, as PEM; None until issued.
    leaf_pem: str | None = None
    chain_pem: str | None = None
    leaf: Leaf | None = None
    problem: Problem | None = None
    #: When the CA wants the leaf to be renewed; None where it was never to be asked.
    renewal_info: RenewalInfo | None = None
    #: How much the CA has failed this attempt for reasons of its own; at `TOO_MUCH` another CA is tried, if one is
    #: named.
    authority_failures: int = 0
    #: What has been told of this leaf: `certcore.model.notices` says of what.
    told: tuple[str, ...] = ()
    #: What the engine remembers between steps.
    engine_state: EngineState = field(factory=EngineState, repr=False)
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def own_csr_pem(self) -> str:
        """The user's own CSR; empty when there is none."""
        return self.csr_pem if self.is_keyless else ""

    @property
    def fullchain_pem(self) -> str | None:
        """The leaf followed by its intermediates: what a server presents (RFC 8446 section 4.4.2)."""
        return None if self.leaf_pem is None else self.leaf_pem + (self.chain_pem or "")
