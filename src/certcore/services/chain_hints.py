"""Hints about a missing or expired intermediate in the chain of the leaf in service."""

from __future__ import annotations

from collections.abc import Iterator

from certcore.model.hints import Hint, Level, Message, Notice
from certcore.model.lifecycle import Status
from certcore.model.views import CertificateView
from certcore.x509.chain import parse_certificates, presentable_chain
from certcore.x509.describe import called, following_source, last_day, shown_name

__all__ = ["chain_hints"]


def chain_hints(view: CertificateView) -> Iterator[Hint]:
    """A hint if clients may lack an intermediate of the leaf."""
    active = view.active
    if view.certificate.status is not Status.ACTIVE or active is None or not active.leaf_pem:
        return
    chain_pem = active.chain_pem or ""
    (leaf,) = parse_certificates(active.leaf_pem)
    if not chain_pem and leaf.issuer != leaf.subject:
        source = following_source(leaf)
        text = (
            "The leaf was issued by {issuer}, whose certificate was not sent with it; clients that do not know it "
            "reject the leaf.{source}"
        )
        # Leaves of public CAs have the URL of the issuer's certificate; a leaf without it probably comes from a private
        # root.
        level = Level.WARNING if source else Level.INFO
        yield Notice(level, Message("core.chain_missing", text, {"issuer": shown_name(leaf.issuer), "source": source}))
    kept = presentable_chain(active.leaf_pem, chain_pem, view.now)
    if len(kept) < len(chain_pem):
        expired = parse_certificates(chain_pem[len(kept) :])[0]
        text = (
            "{name} in the chain expired on {day}, and has been left out of exports since then. Renew to get a new "
            "chain."
        )
        yield Notice(
            Level.WARNING, Message("core.chain_expired", text, {"name": called(expired), "day": last_day(expired)})
        )
