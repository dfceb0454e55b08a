"""What deleted certificates have left at a DNS server that was down is taken away at later calls about others."""

from __future__ import annotations

from certcore_puq_acme.dns.checks import DnsAccess
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.profile.zone_writer import hosted_cnames_of, publication_of

__all__ = ["give_back_cnames", "take_leftovers_away"]


def take_leftovers_away(context: AcmeContext, dns: DnsAccess) -> None:
    """Withdraw what is noted for the profile's server; what cannot be withdrawn now stays noted."""
    publication = publication_of(context, dns.connections)
    if publication is not None:
        publication.heal()
        hosted_cnames_of(context, dns.connections).heal()


def give_back_cnames(certificate_id: str, context: AcmeContext, dns: DnsAccess) -> None:
    """Remove the CNAMEs that were set for a certificate, unless another one needs them; what cannot be is noted."""
    hosted_cnames_of(context, dns.connections).release(certificate_id)
