"""What a claim and a page cost in a small fleet and in a large one; the ratios are what counts.

    python benchmarks/claim.py [--small 10000] [--large 1000000] [--claims 200] [--databases sqlite postgresql mariadb]

Every tenth certificate is due (a backlog after an outage), the others are due later. Each claim leases 100; between two
claims the leases are given back outside of the clock. The servers run on this machine, started here, and are
not asked to survive a power cut; SQLite is.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from servers import MariaDB, PostgreSQL

from certcore.adapters.sql import open_storage
from certcore.adapters.sql.types import UtcDateTime
from certcore.model.listing import Position, SortKey
from certcore.model.search import Search
from certcore.ports.certificates import CertificateRepository
from certcore.ports.storage import Storage

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BATCH = 100
PAGE = 50

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})",
    "postgresql": "WITH n(i) AS (SELECT generate_series(1, {count}))",
    "mysql": "WITH n(i) AS (SELECT seq FROM seq_1_to_{count})",
}
_ID = {"sqlite": "printf('%024d', i)", "postgresql": "lpad(i::text, 24, '0')", "mysql": "lpad(i, 24, '0')"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--small", type=int, default=10_000)
    options.add_argument("--large", type=int, default=1_000_000)
    options.add_argument("--claims", type=int, default=200)
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql", "mariadb"])
    chosen = options.parse_args()
    for kind in chosen.databases:
        medians = []
        for count in (chosen.small, chosen.large):
            with database(kind) as url:
                fill(url, count)
                with contextlib.closing(open_storage(url)) as storage:
                    times = sorted(claims(storage, chosen.claims))
                    first, deep = pages(storage)
                    by_name, by_serial, counted = searches(storage)
            medians.append(statistics.median(times))
            p99 = times[int(len(times) * 0.99) - 1]
            print(
                f"{kind} {count:>9,} rows: claim of {BATCH} median {medians[-1]:.2f} ms, p99 {p99:.2f} ms; "
                f"first page {first:.2f} ms, a page in the middle {deep:.2f} ms (ratio {deep / first:.2f}); "
                f"search by name {by_name:.2f} ms, by serial {by_serial:.2f} ms; "
                f"count by status (to 10,000) {counted:.1f} ms",
                flush=True,
            )
        print(f"{kind}: claim ratio {medians[1] / medians[0]:.2f} (large to small)", flush=True)


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """A database with our tables."""
    with contextlib.ExitStack() as running:
        if kind == "sqlite":
            folder = running.enter_context(tempfile.TemporaryDirectory(prefix="certcore-bench-"))
            url = f"sqlite:///{folder}/certcore.db"
        else:
            server = {"postgresql": PostgreSQL, "mariadb": MariaDB}[kind]
            url = running.enter_context(server.start()).new_database()
        open_storage(url).close()
        yield url


def fill(url: str, count: int) -> None:
    """So many certificates, made by the database itself."""
    engine = sa.create_engine(url)
    name = engine.dialect.name
    numbers, key = _NUMBERS[name].format(count=count), _ID[name]
    plain = engine.execution_options(no_parameters=True)  # a % is a %
    with plain.begin() as connection:
        moment = UtcDateTime().process_bind_param(NOW, engine.dialect)
        false = "false" if name == "postgresql" else "0"
        run = connection.exec_driver_sql
        run(
            "INSERT INTO certcore_authorities (id, name, description, module, settings, secrets_set, version,"
            f" created_at, updated_at) VALUES ('a', 'a', '', 'm', '{{}}', '[]', 1, {moment}, {moment})"
        )
        domain = f"concat({key}, '.example')" if name != "sqlite" else f"{key} || '.example'"
        certificates = (
            "certcore_certificates (id, owner, domain, aliases, wildcard, subject, key_type, renewal_auto,"
            " renewal_rotate_key, authority_id, module_data, status, version, created_at, updated_at)"
        )
        chosen = (
            f"SELECT {key}, '', {domain}, '[]', {false}, '{{}}', 'ec-p256', {false},"
            f" {false}, 'a', '{{}}', 'active', 1, {moment}, {moment} FROM n"
        )
        # A number that has nothing to do with the order of the ids, from 0 to 9,999,990.
        mixed = "(CAST(i AS BIGINT) * 7919 % 1000000) * 10" if name == "postgresql" else "(i * 7919 % 1000000) * 10"
        second = 1_000_000
        due = f"CASE WHEN i % 10 = 0 THEN {moment} - {mixed} * {second} ELSE {moment} + {mixed} * {second} END"
        schedules = "certcore_schedules (certificate_id, due_at, needed_by, attempts, lease_owner, token)"
        rows = f"SELECT {key}, {due}, {moment} + {mixed} * 3 * {second}, 0, '', 0 FROM n"
        backwards = f"concat('example.', {key}, '.')" if name != "sqlite" else f"'example.' || {key} || '.'"
        names = f"SELECT {key}, {domain}, {backwards}, '' FROM n"
        issued = (
            f"SELECT {key}, {key}, 1, 'issue', 'a', '[]', 'ec-p256', 'certificate-key', {key}, '', {false}, {moment},"
            f" {key}, {key} FROM n"
        )
        issuances = (
            "certcore_issuances (id, certificate_id, number, purpose, authority_id, names, key_type, key_purpose,"
            " key_owner_id, csr_pem, needs_clean_up, created_at, serial, fingerprint_sha256)"
        )
        for table, select in (
            (certificates, chosen),
            (schedules, rows),
            ("certcore_names (certificate_id, name, reversed, owner)", names),
            (issuances, issued),
        ):
            run(
                f"INSERT INTO {table} {numbers} {select}"
                if name != "postgresql"
                else f"{numbers} INSERT INTO {table} {select}"
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        tables = ", ".join(f"certcore_{one}" for one in ("schedules", "certificates", "names", "issuances"))
        analyze = {"mysql": f"ANALYZE TABLE {tables}"}.get(name, "ANALYZE")
        connection.exec_driver_sql(analyze)
    engine.dispose()


def claims(storage: Storage, count: int) -> Iterator[float]:
    """Milliseconds of each claim."""
    for number in range(count):
        begun = time.perf_counter()
        with storage.write() as transaction:
            leased = transaction.schedules.claim_due(
                now=NOW, owner="bench", lease_until=NOW + timedelta(minutes=1), limit=BATCH
            )
        yield (time.perf_counter() - begun) * 1000
        if len(leased) != BATCH:
            raise SystemExit(f"claim {number} got {len(leased)} of {BATCH}")
        with storage.write() as transaction:
            for one in leased:
                transaction.schedules.take_over(one.certificate_id, due_at=one.due_at)


def searches(storage: Storage) -> tuple[float, float, float]:
    """Milliseconds of a search for a whole name, for a serial number, and of counting by status."""
    with storage.read() as transaction:
        certificates = transaction.certificates
        (some,) = certificates.page(after=_position(certificates, 5000), limit=1)
        found = []
        for text, times in ((some.domain.ascii, 50), (f"{some.id}", 50), ("", 5)):
            wanted = Search.parse(text)
            taken = []
            for _ in range(times):
                begun = time.perf_counter()
                if not text:
                    certificates.count_by_status(at_most=10_000)
                elif [one.id for one in certificates.search(wanted)][:1] != [some.id] and text == some.domain.ascii:
                    raise SystemExit(f"{text} was not found")
                taken.append((time.perf_counter() - begun) * 1000)
            found.append(statistics.median(taken))
    return found[0], found[1], found[2]


def _position(certificates: CertificateRepository, number: int) -> Position:
    return Position.of(certificates.get(f"{number:024}"), SortKey.DOMAIN)


def pages(storage: Storage) -> tuple[float, float]:
    """Milliseconds of the first page, and of one in the middle of the list."""
    with storage.read() as transaction:
        count: Any = transaction
        rows = count.connection.exec_driver_sql("SELECT COUNT(*) FROM certcore_certificates").scalar_one()
        found = []
        for after in (None, _position(transaction.certificates, rows // 2)):
            times = []
            for _ in range(50):
                begun = time.perf_counter()
                transaction.certificates.page(after=after, limit=PAGE)
                times.append((time.perf_counter() - begun) * 1000)
            found.append(statistics.median(times))
    return found[0], found[1]


if __name__ == "__main__":
    main()
