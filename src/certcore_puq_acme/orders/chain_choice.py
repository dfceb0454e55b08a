"""Which chain to take of those that a CA offers, and whether it leads to a root that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from cryptography import x509
from cryptography.x509.oid import NameOID

from certcore.errors import X509Error
from certcore.messages import Message, sentences
from certcore.net.foreign_text import LONGEST_WORD, printable
from certcore.net.tls import system_roots_file
from certcore.x509.chain import Chain, certificate_pem, parse_certificates, parse_chain, verify_chain
from certcore_puq_acme.orders.state import ChainFacts
from certcore_puq_acme.profile.settings import PuqAcmeProfile
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeError

__all__ = ["ChosenChain", "choose_chain"]

#: How many alternate chains are looked at.
_MOST_ALTERNATES: Final = 8


@frozen(kw_only=True)
class ChosenChain:
    """The chain to install."""

    pem: str
    chain: Chain
    #: The name of the root that the chain leads to.
    root: str
    #: Whether that root is known here; None if the roots of this CA are not configured.
    known: bool | None
    #: A notice about the chain; empty if it is the preferred one.
    note: Message = Message("", "")
    #: Why the chain must not be installed; None if it may be.
    refusal: Message | None = None

    @property
    def facts(self) -> ChainFacts:
        """What is stored of the chain for the right column."""
        return ChainFacts(root=self.root, known=self.known, note=self.note)


def choose_chain(client: AcmeClient, url: str, profile: PuqAcmeProfile, now: datetime) -> ChosenChain:
    """Download a certificate, with the chain that the profile prefers and a root that is known.

    The CA's own choice is taken if no chain matches the profile. Only the roots that the profile names are required:
    the list of roots on this machine may be old, and a certificate without a known root is better than none. A chain
    without an intermediate, or with an expired link, is taken only if no alternate is complete. A chain that cannot be
    downloaded or read is skipped; this includes the CA's own choice if there is an alternate.

    Args:
        client: The account's client.
        url: The order's ``certificate`` URL.
        profile: The CA profile: its preferred chain and its required roots.
        now: The present moment, to which the dates in the chain are compared.

    Returns:
        The chain; it has a `ChosenChain.refusal` if the CA offers no chain to any of the roots that the profile names.

    Raises:
        X509Error: None of the chains can be read.
        AcmeError: The CA refused the download, or cannot be reached.
    """
    offered: list[tuple[str, Chain]] = []
    broken: list[Message] = []
    roots = profile.chain_roots
    wished: tuple[str, Chain] | None = None

    def chosen(pem: str, chain: Chain, note: Message | None = None) -> ChosenChain:
        known = _is_known(chain, profile, now)
        return ChosenChain(pem=pem, chain=chain, root=_root_name(chain), known=known, note=note or Message("", ""))

    for pem, chain in _offers(client, url, broken, now):
        offered.append((pem, chain))
        is_wished = not profile.preferred_chain or _fits(chain, profile.preferred_chain)
        if not is_wished or (roots and not _leads_to(chain, roots, now)):
            continue
        wished = wished or (pem, chain)
        if _is_whole(pem, chain, now):
            return chosen(pem, chain)
    if wished is not None:  # no other chain is better
        return chosen(*wished)
    names = ", ".join(dict.fromkeys(_root_name(chain) for _, chain in offered))
    params = {"names": names, "preferred": repr(profile.preferred_chain)}
    others = (_broken(broken),) if broken else ()
    leading = [offer for offer in offered if not roots or _leads_to(offer[1], roots, now)]
    if not leading:
        text = "The CA offers no chain to any of the roots that the CA profile names; it offers: {names}."
        refusal = sentences(Message("puq_acme.chain.no_root", text, params), *others)
        return evolve(chosen(*offered[0]), known=False, refusal=refusal)
    text = "The CA offers no chain of the preferred name {preferred}; it offers: {names}."
    return chosen(*leading[0], sentences(Message("puq_acme.chain.not_preferred", text, params), *others))


def _broken(reasons: Sequence[Message]) -> Message:
    text = "{count} more could not be downloaded: {reason}"
    return Message("puq_acme.chain.broken", text, {"count": len(reasons), "reason": reasons[0]})


def _offers(client: AcmeClient, url: str, broken: list[Message], now: datetime) -> Iterator[tuple[str, Chain]]:
    """The CA's own choice, then the alternates, each fetched only when it is looked at (RFC 8555 section 7.4.2).

    Args:
        client: The account's client.
        url: The order's ``certificate`` URL.
        broken: The list to which a message is added for each chain that cannot be downloaded or read.
        now: The present moment, to which the dates in the chain are compared.
    """
    first = client.certificate(url)
    pem = first.chain_pem.decode("ascii", "replace")
    refusal: X509Error | None = None
    try:
        yield pem, parse_chain(pem, now=now)
    except X509Error as error:
        refusal = error
        broken.append(error.text)
    for alternate in first.alternates[:_MOST_ALTERNATES]:
        try:
            pem = client.certificate(alternate).chain_pem.decode("ascii", "replace")
            chain = parse_chain(pem, now=now)
        except (AcmeError, X509Error) as error:
            broken.append(error.text)
            continue
        refusal = None
        yield pem, chain
    if refusal is not None:
        raise refusal


def _is_whole(pem: str, chain: Chain, now: datetime) -> bool:
    """Whether the chain has an intermediate, and none of its certificates has expired."""
    return bool(chain.chain_pem) and all(link.not_valid_after_utc > now for link in parse_certificates(pem)[1:])


def _is_known(chain: Chain, profile: PuqAcmeProfile, now: datetime) -> bool | None:
    if profile.chain_roots:
        return True  # the chain was required to lead to one of these roots
    preset = profile.preset
    if preset is None or preset.staging:
        return None
    return any(_leads_to(chain, root, now) for root in _system_roots())


def _leads_to(chain: Chain, roots_pem: str, now: datetime) -> bool:
    """Whether a root signed the last link, or an earlier link if the later ones are cross-signed for another root."""
    links = list(map(certificate_pem, _links(chain)[1:]))
    for length in range(len(links), -1, -1):
        try:
            verify_chain(evolve(chain, chain_pem="".join(links[:length])), roots_pem, now)
        except X509Error:
            continue
        return True
    return False


def _links(chain: Chain) -> list[x509.Certificate]:
    return parse_certificates(chain.leaf_pem + chain.chain_pem)


def _root_name(chain: Chain) -> str:
    issuer = _links(chain)[-1].issuer
    return next(iter(_common_names(issuer)), "") or printable(issuer.rfc4514_string(), LONGEST_WORD)


def _fits(chain: Chain, preferred: str) -> bool:
    """Whether the root, or any issuer on the way, has this name."""
    names = [name for link in _links(chain) for name in (*_common_names(link.issuer), link.issuer.rfc4514_string())]
    return preferred.casefold() in (name.casefold() for name in names)


def _common_names(name: x509.Name) -> Sequence[str]:
    return [printable(attribute.value, LONGEST_WORD) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]


@lru_cache(maxsize=1)
def _system_roots() -> tuple[str, ...]:
    """The roots of this machine as PEM, in pieces that are short enough to be read at once."""
    blocks = Path(system_roots_file()).read_text(encoding="ascii", errors="replace").split("-----END CERTIFICATE-----")
    whole = [f"{block}-----END CERTIFICATE-----" for block in blocks if "-----BEGIN CERTIFICATE-----" in block]
    return tuple("\n".join(whole[at : at + 10]) for at in range(0, len(whole), 10))
