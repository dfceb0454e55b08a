"""Remove DNS records of deleted certificates that could not be removed at the time because a server was down.

This happens in later calls about other certificates.
"""

from __future__ import annotations

from certcore_puq_acme.dns.checks import DnsAccess
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.profile.zone_writer import hosted_cnames_of, publication_of

__all__ = ["give_back_cnames", "take_leftovers_away"]


def take_leftovers_away(context: AcmeContext, dns: DnsAccess) -> None:
    """Remove the recorded values from the profile's server; values that cannot be removed now stay recorded."""
    publication = publication_of(context, dns.connections)
    if publication is not None:
        publication.heal()
        hosted_cnames_of(context, dns.connections).heal()


def give_back_cnames(certificate_id: str, context: AcmeContext, dns: DnsAccess) -> None:
    """Remove the CNAMEs of a certificate unless another one needs them; a CNAME that cannot be removed is recorded."""
    hosted_cnames_of(context, dns.connections).release(certificate_id)
