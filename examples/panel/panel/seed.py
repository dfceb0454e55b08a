"""The data of the example panel: users with roles, CA profiles, and certificates in every status."""

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen
from django.conf import settings
from django.contrib.auth.models import Group, User

from certcore import CertCore, Certificate, RevocationReason, Status
from certcore.hints import DnsRecords
from certcore.testing import FrozenEnvironment, LittleAuthority, Pebble, make_request
from panel.customers import ZONE
from panel.plugins import FrontDesk

__all__ = ["PASSWORD", "USERS", "make_certificates", "make_profiles", "make_users"]

#: The password of all users; the panel listens on this machine only.
PASSWORD = "panel"  # noqa: S105 - it is printed at the start
#: The users: a description, and the group that gives the role. A user without a role is a tenant.
USERS = {
    "admin": ("administrator: everything", "SSL administrators"),
    "vera": ("viewer: sees everything, changes nothing", "SSL viewers"),
    "anna": ("owner: her own certificates", None),
    "bert": ("owner: a second tenant", None),
}
TECH_ZONE = "acme.panel.test"
_DAY = timedelta(days=1)
_TIMEOUT = 60.0


class PastClock(FrozenEnvironment):
    """A clock that shows a time in the past, for certificates that are older than this panel."""

    def new_id(self) -> str:
        return uuid.uuid4().hex


@frozen(kw_only=True)
class Seeded:
    """What the functions below need."""

    core: CertCore
    #: The ids of the CA profiles.
    acme: str
    fallback: str
    desk: str
    #: The owners: the users' primary keys.
    anna: str
    bert: str


def make_users() -> dict[str, User]:
    """The users, by name."""
    made = {}
    for name, (_, group) in USERS.items():
        user = User.objects.create_user(name, password=PASSWORD)
        if group is not None:
            user.groups.add(Group.objects.get_or_create(name=group)[0])
        made[name] = user
    return made


def make_profiles(core: CertCore, pebble: Pebble, dns_address: str) -> tuple[str, str, str]:
    """Two CA profiles at Pebble, one the fallback of the other, and one of the front desk."""
    at_pebble = {
        "ca": "custom",
        "directory_url": pebble.directory_url,
        "trusted_roots": pebble.roots_pem,
        "terms_agreed": True,
        "tech_zone": TECH_ZONE,
        "tech_zone_nameservers": [f"ns.{TECH_ZONE} 127.0.0.1"],
        "dns_servers": [dns_address],
    }
    names = {"Pebble": "admin@panel.test", "Pebble, second account": "backup@panel.test"}
    made = [
        core.authorities.create(name, module="puq_acme", settings={**at_pebble, "email": email})
        for name, email in names.items()
    ]
    desk = core.authorities.create("Front desk", module="front_desk", description="Issued by people, in office hours.")
    return made[0].id, made[1].id, desk.id


def make_certificates(seeded: Seeded) -> None:
    """A dozen certificates in every status, while a worker runs."""
    _from_the_past(seeded)
    core, certificates = seeded.core, seeded.core.certificates
    anna, bert = {"owner": seeded.anna}, {"owner": seeded.bert}
    by_acme = {"authority": seeded.acme, "fallbacks": [seeded.fallback]}

    by_acme_anna = {**by_acme, **anna}

    certificates.create("draft.customers.test", **by_acme_anna)
    issued = [
        certificates.create("shop.customers.test", aliases=["www.shop.customers.test"], wildcard=True, **by_acme_anna),
        certificates.create("blog.customers.test", **by_acme_anna),
        certificates.create("api.customers.test", key_type="rsa-2048", **by_acme, **bert),
        certificates.create("down.customers.test", **by_acme_anna),
        certificates.create("revoked.customers.test", **by_acme_anna),
    ]
    for certificate in issued:
        set_cnames(core, certificate.id)
    for certificate in issued:
        certificates.generate_csr(certificate.id)
    waiting = certificates.create("pending.customers.test", **by_acme_anna)
    certificates.generate_csr(waiting.id)
    by_desk = certificates.create("processing.customers.test", authority=seeded.desk, **anna)
    certificates.generate_csr(by_desk.id)
    refused = certificates.create("error.customers.test", authority=seeded.desk, **anna)
    certificates.generate_csr(refused.id)
    _import(certificates, "imported.customers.test", lifetime=200 * _DAY, **bert)
    _import(certificates, "ends-soon.customers.test", lifetime=9 * _DAY, **anna)

    for certificate in issued:
        _wait(core, certificate.id, Status.ACTIVE)
    certificates.revoke(issued[-1].id, reason=RevocationReason.SUPERSEDED)
    _wait(core, waiting.id, Status.PENDING)
    _wait(core, by_desk.id, Status.PROCESSING)
    _wait(core, refused.id, Status.ERROR)


def set_cnames(core: CertCore, certificate_id: str) -> None:
    """What the customer does: set the records that the page of the certificate asks for."""
    for hint in core.certificates.hints(certificate_id):
        for record in hint.rows if isinstance(hint, DnsRecords) else ():
            ZONE.set(record.name, record.type, record.value)


def _from_the_past(seeded: Seeded) -> None:
    """Certificates that were imported some time ago: one has expired since, the renewal of another one is late."""
    now = datetime.now(UTC)
    clock = PastClock(now - 60 * _DAY)
    url, keyring = settings.CERTCORE["DATABASE"], settings.CERTCORE["KEYRING"]
    with CertCore.open(url, keyring=keyring, plugins=[FrontDesk()], environment=clock) as past:
        renewed = {"authority": seeded.acme, "owner": seeded.anna}
        _import(past.certificates, "in-danger.customers.test", now=clock.now(), lifetime=66 * _DAY, **renewed)
        _import(past.certificates, "expired.customers.test", now=clock.now(), lifetime=40 * _DAY, owner=seeded.bert)


def _import(
    certificates: Any, domain: str, *, lifetime: timedelta, now: datetime | None = None, **more: Any
) -> Certificate:
    now = now or datetime.now(UTC)
    request, private_key = make_request(domain)
    chain = LittleAuthority(now).issue(request, now=now, lifetime=lifetime)
    leaf, bundle = chain.split("-----END CERTIFICATE-----\n", 1)
    return certificates.import_certificate(f"{leaf}-----END CERTIFICATE-----\n", private_key, bundle, **more)


def _wait(core: CertCore, certificate_id: str, status: Status) -> None:
    deadline = time.monotonic() + _TIMEOUT
    pause = threading.Event()
    while (certificate := core.certificates.get(certificate_id)).status is not status:
        if time.monotonic() > deadline:
            raise SystemExit(f"{certificate.domain} is {certificate.status}, not {status}: {certificate.problem}")
        pause.wait(0.1)
