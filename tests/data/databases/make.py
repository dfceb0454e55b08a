"""Fill a database of each kind with the certcore that is on PYTHONPATH, and write it to a folder; see README.md."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from certcore.testing.authority import LittleAuthority
from certcore.testing.zone import MemoryZone
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import certcore
from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.model.hints import DnsRecords
from certcore.testing.databases import MariaDB, PostgreSQL
from certcore.testing.pebble import Pebble
from certcore.testing.scripted_ca import Act, ScriptedCA

DAY = timedelta(days=1)


class Travelling(SystemEnvironment):
    """The system's clock, put back at first."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "offset", -40 * DAY)

    def now(self):
        return super().now() + self.offset

    def set_right(self):
        object.__setattr__(self, "offset", timedelta(0))


class Observer:
    """Takes events until it breaks."""

    def __init__(self, name):
        self.__name__ = name
        self.broken = False

    @certcore.hookimpl
    def certcore_on_event(self, event):
        if self.broken:
            raise RuntimeError("the observer is broken")


def drive(core, certificate_id, until):
    deadline = time.monotonic() + 120
    while not until(certificate_id):
        assert time.monotonic() < deadline, core.certificates.view(certificate_id)
        core.certificates.check_now(certificate_id)
        core.reconcile(certificate_id)
        time.sleep(0.05)


def stage(core, certificate_id):
    return (core.certificates.issuances(certificate_id)[-1].module_state or {}).get("stage")


def until_stage(core, certificate_id, wanted):
    deadline = time.monotonic() + 60
    while stage(core, certificate_id) != wanted:
        assert time.monotonic() < deadline, stage(core, certificate_id)
        core.certificates.check_now(certificate_id)
        for schedule in core.engine.claim_due(50):
            if schedule.certificate_id == certificate_id:
                core.engine.step(core.engine.load(schedule), keep_lease=False)  # one step, and no more
            else:
                core.engine.release(schedule)


def cnames(core, zone, certificate_id):
    for hint in core.certificates.hints(certificate_id):
        for row in hint.rows if isinstance(hint, DnsRecords) else ():
            zone.set(row.name, row.type, row.value)


def with_the_scripted_ca(core, ca, clock):
    """Certificates of every status, with what happened to them weeks ago."""
    weeks = core.authorities.create(
        "scripted", module="scripted", settings={"api_key": "an API key of the test data", "lifetime_days": 90}
    )
    days = core.authorities.create("short", module="scripted", settings={"lifetime_days": 7})

    def requested(domain, profile=weeks, **fields):
        return core.certificates.generate_csr(core.certificates.create(domain, authority=profile.id, **fields).id).id

    def stepped(act, certificate_id, times=1):
        ca.script = (act,)
        for _ in range(times):
            core.reconcile(certificate_id)
        return certificate_id

    ids = {"draft": core.certificates.create("draft.example", authority=weeks.id, aliases=["www.draft.example"]).id}
    ids["active"] = stepped(Act.ISSUE, requested("active.example", owner="anna", wildcard=True), 3)
    ids["active of Anna"] = stepped(Act.ISSUE, requested("active.example", owner="Anna", key_type="rsa-2048"), 3)
    ids["expired"] = stepped(Act.ISSUE, requested("expired.example", days, renewal={"auto": False}), 3)
    ids["revoked"] = stepped(Act.ISSUE, requested("revoked.example"), 3)
    core.certificates.revoke(ids["revoked"], reason="superseded")
    ids["renewing"] = stepped(Act.ISSUE, requested("renewing.example", owner="anna"), 3)
    clock.set_right()
    core.reconcile(ids["expired"])
    core.certificates.renew(ids["renewing"])
    stepped(Act.WORK, ids["renewing"])
    ids["error"] = stepped(Act.FAIL_NEVER, requested("error.example", owner="anna"))
    ids["pending"] = stepped(Act.WAIT_OWNER, requested("pending.example"))
    ids["processing"] = stepped(Act.WORK, requested("processing.example", aliases=["www.processing.example"]))
    return ids


def imported(core, clock):
    authority = LittleAuthority(clock.now())
    ids = {}
    for name, lifetime, with_key in (("imported", 90 * DAY, True), ("imported without key", 60 * DAY, False)):
        key = ec.generate_private_key(ec.SECP256R1())
        domain = f"{name.replace(' ', '-')}.example"
        csr = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = authority.issue(csr.public_bytes(Encoding.PEM).decode(), now=clock.now(), lifetime=lifetime)
        pasted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) if with_key else None
        ids[name] = core.certificates.import_certificate(pem, pasted, authority.root_pem, owner="bruno").id
    return ids


def with_acme(core, zone, pebble):
    """An account, an order in flight whose values are published, a wait for the CNAME, and an active certificate."""
    server = core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[zone])
    try:
        profile = core.authorities.create(
            "acme",
            module="puq_acme",
            settings={
                "ca": "custom",
                "directory_url": pebble.directory_url,
                "trusted_roots": pebble.roots_pem,
                "terms_agreed": True,
                "tech_zone": "acme.panel.test",
                "dns_servers": [f"127.0.0.1:{server.address[1]}"],
                "max_orders": 5,
                "limits": ["orders 300 per 3h", "same_names 5 per 7d except ari"],
            },
        )
        ids = {}
        for name, domain in (("acme active", "a"), ("acme order", "b"), ("acme waiting", "c")):
            draft = core.certificates.create(f"{domain}.shop.test", authority=profile.id, owner="anna")
            ids[name] = core.certificates.generate_csr(draft.id).id
        cnames(core, zone, ids["acme active"])
        drive(
            core,
            ids["acme active"],
            lambda certificate_id: core.certificates.get(certificate_id).status is Status.ACTIVE,
        )
        cnames(core, zone, ids["acme order"])
        until_stage(core, ids["acme order"], "ordered")
        zone.set("_acme-challenge.b.shop.test", "CNAME", "nowhere.shop.test")  # it goes no further than to publish
        until_stage(core, ids["acme order"], "published")
        core.reconcile(ids["acme waiting"])
        return ids
    finally:
        server.close()


def fill(url, keyring):
    clock = Travelling()
    ca = ScriptedCA(now=clock.now())
    zone = MemoryZone("shop.test")
    steady, moody = Observer("steady"), Observer("moody")
    plugins = [ca.plugin(), steady, moody]
    with (
        Pebble.start(nonce_reject=0, authz_reuse=0, always_valid=True) as pebble,
        CertCore.open(url, keyring=keyring, plugins=plugins, environment=clock) as core,
    ):
        ids = with_the_scripted_ca(core, ca, clock)
        core.outbox.deliver()
        ids |= imported(core, clock)
        ids |= with_acme(core, zone, pebble)
        moody.broken = True
        core.certificates.edit(ids["active"], renewal={"days_before": 20}, actor="anna")
        core.certificates.renew(ids["active"])
        core.certificates.edit(ids["draft"], aliases=["mail.draft.example"], actor="anna")
        core.outbox.deliver()  # one observer takes them, the other one is behind
        core.certificates.edit(ids["draft"], wildcard=True, actor="anna")  # nobody has been told of this
        deleted = core.certificates.create("deleted.example", authority=core.authorities.list()[0].id)
        core.certificates.delete(deleted.id)
        # A worker that died: its lease runs out.
        core.certificates.check_now(ids["pending"])
        core.engine.claim_due(50)
        return {
            "made_at": clock.now().isoformat(),
            "api_key_sha256": hashlib.sha256(b"an API key of the test data").hexdigest(),
            "deleted": deleted.id,
            "certificates": {name: expected(core, one) for name, one in ids.items()},
        }


def expected(core, certificate_id):
    view = core.certificates.view(certificate_id)
    certificate, issuances = view.certificate, core.certificates.issuances(certificate_id)
    assert not core.certificates.verify_timeline(certificate_id).fault
    key = ""
    if view.leaf is not None and not issuances[0].is_keyless:
        key = hashlib.sha256(
            core.certificates.reveal_private_key(certificate_id, reason="test data").reveal()
        ).hexdigest()
    deliveries = core.certificates.deliveries(certificate_id)
    return {
        "id": certificate_id,
        "domain": certificate.domain.ascii,
        "owner": certificate.owner,
        "names": [name.ascii for name in certificate.names],
        "status": str(certificate.status),
        "not_after": certificate.not_after and certificate.not_after.isoformat(),
        "fingerprint": view.leaf.fingerprint_sha256 if view.leaf else "",
        "key_sha256": key,
        "issuances": [[str(each.purpose), each.outcome and str(each.outcome)] for each in issuances],
        "order": (issuances[-1].module_state or {}).get("order", "") if issuances else "",
        "problem": certificate.problem and certificate.problem.type,
        "behind": sorted(deliveries.behind),
        "undelivered": deliveries.length - deliveries.delivered,
    }


def dump_postgresql(url, path):
    parsed = sa.make_url(url)
    where = ["-h", parsed.host, "-p", str(parsed.port), "-U", parsed.username, parsed.database]
    options = ["--inserts", "--no-owner", "--no-privileges", "--no-comments"]
    text = subprocess.run(["pg_dump", *options, *where], capture_output=True, text=True, check=True).stdout
    # What psql alone understands, what other versions of the server do not know, and what would outlive the load.
    left_out = ("\\", "-- ", "SET ", "SELECT pg_catalog.set_config")
    kept = [line for line in text.splitlines() if line != "--" and not line.startswith(left_out)]
    path.write_text("\n".join(kept).strip() + "\n")


def dump_mariadb(url, path):
    parsed = sa.make_url(url)
    where = ["-h", parsed.host, "-P", str(parsed.port), "-u", parsed.username, parsed.database]
    options = ["--protocol=tcp", "--skip-extended-insert", "--hex-blob", "--skip-comments", "--skip-ssl"]
    options.append("--default-character-set=utf8mb4")
    command = ["mariadb-dump", "--no-defaults", *options, *where]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    path.write_text("\n".join(line for line in text.splitlines() if "sandbox mode" not in line).strip() + "\n")


def make_sqlite(folder, keyring):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "certcore.db"
        found = fill(f"sqlite:///{path}", keyring)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("VACUUM")
        shutil.copyfile(path, folder / "sqlite.db")
    return found


def make_server(kind, dump, path, keyring):
    with kind.start() as server:
        url = server.new_database()
        found = fill(url, keyring)
        dump(url, path)
    return found


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    keyring = folder / "keyring-for-tests-only.json"
    keyring.unlink(missing_ok=True)
    CertCore.create_keyring(keyring)
    found = {
        "sqlite": make_sqlite(folder, keyring),
        "postgresql": make_server(PostgreSQL, dump_postgresql, folder / "postgresql.sql", keyring),
        "mariadb": make_server(MariaDB, dump_mariadb, folder / "mariadb.sql", keyring),
    }
    (folder / "expected.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
