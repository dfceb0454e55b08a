"""Certificates in every status, with and without an issuance under way beside the leaf."""

from certcore import Status
from certcore.testing.scripted_ca import Act

#: The status, and whether an issuance is under way.
SITUATIONS = {
    "draft": (Status.DRAFT, False),
    "pending": (Status.PENDING, True),
    "processing": (Status.PROCESSING, True),
    "error": (Status.ERROR, False),
    "active": (Status.ACTIVE, False),
    "active, renewing": (Status.ACTIVE, True),
    "active, failed": (Status.ACTIVE, False),
    "expired": (Status.EXPIRED, False),
    "expired, renewing": (Status.EXPIRED, True),
    "revoked": (Status.REVOKED, False),
    "revoked, renewing": (Status.PENDING, True),
}


def certificate_in(bench, name, csr=None, **fields):
    """The id of a certificate that was brought into one of the `SITUATIONS` by public calls."""
    domain = "shop.example" if csr is None else None
    certificate_id = bench.draft(domain, csr=csr, renewal={"auto": not name.startswith("expired")}, **fields).id
    if name == "draft":
        return certificate_id
    acts = {"pending": Act.WAIT_OWNER, "processing": Act.WORK, "error": Act.FAIL_NEVER}
    bench.ca.script = (acts.get(name, Act.ISSUE),)
    bench.core.certificates.generate_csr(certificate_id)
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    if name.startswith("expired"):
        bench.step(certificate_id)
    if name.startswith("revoked"):
        bench.core.certificates.revoke(certificate_id)
    if name.endswith(("renewing", "failed")):
        bench.ca.script = (Act.FAIL_NEVER if name.endswith("failed") else Act.WAIT_OWNER,)
        bench.core.certificates.renew(certificate_id)
        for _ in range(3):
            bench.core.reconcile(certificate_id)
    return certificate_id
