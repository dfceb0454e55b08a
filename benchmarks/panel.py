"""What the pages of a panel cost in a small fleet and in a large one: rows, filters, a page, the numbers, the feed.

    python benchmarks/panel.py [--certificates 10000 1000000] [--calls 200] [--databases sqlite postgresql]

The fleet is made by the database itself: copies of certificates that went through the engine, in every situation, of
1,000 owners; their leaves end over 90 days, 2 of 1,000 renewals are late. Each figure is in milliseconds, of calls of
`CertCore` with other arguments each time. What other programs take of the machine is in the elapsed time, not in the
CPU time of this process, which is all of the work on SQLite. PostgreSQL runs on this machine, started here. On SQLite,
the statistics of the query planner are not made, as no panel makes them.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from servers import MariaDB, PostgreSQL

from certcore import CertCore, NoticePolicy
from certcore.adapters.sql.types import UtcDateTime
from certcore.model.listing import Position, SortKey
from certcore.testing import FrozenEnvironment, ScriptedCA
from certcore.testing.scripted_ca import Act

OWNERS = 1000
PAGE = 50
DAY = 86_400 * 1_000_000
#: How many of 1,000 certificates are in each situation, and what the CA does with them.
SITUATIONS = {
    "active": (963, Act.ISSUE),
    "owner": (20, Act.WAIT_OWNER),
    "draft": (10, None),
    "error": (5, Act.FAIL_NEVER),
    "late": (2, Act.ISSUE),
}
#: In the order in which rows refer to each other.
TABLES = ["certificates", "names", "schedules", "issuances", "timelines", "events"]
NOW: int = UtcDateTime().process_bind_param(FrozenEnvironment().now(), sa.create_engine("sqlite://").dialect) or 0
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})",
    "postgresql": "WITH n(i) AS (SELECT CAST(generate_series(1, {count}) AS BIGINT))",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--certificates", type=int, nargs="+", default=[10_000, 1_000_000])
    options.add_argument("--calls", type=int, default=200)
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    chosen = options.parse_args()
    for kind in chosen.databases:
        figures: dict[str, list[float]] = {}
        for count in chosen.certificates:
            with database(kind) as url, opened(url) as core:
                begun = time.perf_counter()
                fill(url, count)
                print(f"{kind} {count:>9,} certificates, made in {time.perf_counter() - begun:.0f} s", flush=True)
                for name, call in calls(core, count).items():
                    wall, cpu = measured(call, 20 if "counted now" in name else chosen.calls)
                    figures.setdefault(name, []).append(p95(wall))
                    print(
                        f"  {name:<40} median {statistics.median(wall):8.2f}  p95 {p95(wall):8.2f} ms; "
                        f"CPU of this process: median {statistics.median(cpu):8.2f}  p95 {p95(cpu):8.2f} ms",
                        flush=True,
                    )
        for name, values in figures.items():
            if len(values) > 1:
                print(f"{kind}: {name}: ratio of p95 {values[-1] / values[0]:.2f} (large to small)", flush=True)


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """An empty database."""
    with contextlib.ExitStack() as running:
        if kind == "sqlite":
            folder = running.enter_context(tempfile.TemporaryDirectory(prefix="certcore-bench-"))
            yield f"sqlite:///{folder}/certcore.db"
        else:
            server = {"postgresql": PostgreSQL, "mariadb": MariaDB}[kind]
            yield running.enter_context(server.start()).new_database()


@contextlib.contextmanager
def opened(url: str, *plugins: object) -> Iterator[CertCore]:
    """A core with a certificate in each situation, whose id is kept as its owner's name.

    Args:
        url: The database.
        plugins: Plugins besides the CA module.
    """
    environment = FrozenEnvironment()
    ca = ScriptedCA(now=environment.now())
    with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
        keyring = Path(folder) / "keyring.json"
        CertCore.create_keyring(keyring)
        options: dict[str, Any] = {"environment": environment, "notices": NoticePolicy(days_before=())}
        with CertCore.open(
            url, keyring=keyring, plugins=[ca.plugin(), *plugins], installed_plugins=False, **options
        ) as core:
            core.authorities.create("Shop CA", module="scripted", settings={"api_key": "k"})
            for situation, (_, act) in SITUATIONS.items():
                aliases = ["www.template.example"]
                made = core.certificates.create(
                    "template.example", authority="Shop CA", aliases=aliases, owner=situation
                )
                if act is not None:
                    ca.script = (act,)
                    core.certificates.generate_csr(made.id)
                    for _ in range(3):
                        core.reconcile(made.id)
            core.events()  # numbers the events where that is to be done
            yield core


def fill(url: str, count: int) -> None:
    """Copy the certificate of each situation as often as its share of the fleet says."""
    engine = sa.create_engine(url)
    plain = engine.execution_options(no_parameters=True)  # a % is a %
    with plain.begin() as connection:
        numbers = _NUMBERS[engine.dialect.name].format(count=count)
        before = 0
        for situation, (share, _) in SITUATIONS.items():
            find = f"SELECT id FROM certcore_certificates WHERE owner = '{situation}'"
            template = connection.exec_driver_sql(find).scalar_one()
            chosen = f"i % 1000 >= {before} AND i % 1000 < {before + share}"
            before += share
            for table in TABLES:
                key = "id" if table == "certificates" else "certificate_id"
                rows = connection.exec_driver_sql(
                    f"SELECT * FROM certcore_{table} WHERE {key} = '{template}'"
                ).mappings()
                for row in rows.all():
                    values = copied(dict(row), table, template, situation, engine.dialect.name)
                    insert = f"INSERT INTO certcore_{table} ({', '.join(values)})"
                    connection.exec_driver_sql(
                        f"{insert} {numbers} SELECT {', '.join(values.values())} FROM n WHERE {chosen}"
                    )
        last = "(SELECT coalesce(max(position), 0) FROM certcore_events)"
        connection.exec_driver_sql(f"UPDATE certcore_events SET position = sequence + {last} WHERE position IS NULL")
        cursor = "certificate_id, observer, delivered, length, attempts, reason, lease_owner, token, failing_since"
        failing = f"CASE WHEN i % 1000 = 7 THEN {NOW} END"
        values_of = f"{_key(engine.dialect.name)}, 'files', 3, 3, 0, '', '', 1, {failing}"
        connection.exec_driver_sql(f"INSERT INTO certcore_deliveries ({cursor}) {numbers} SELECT {values_of} FROM n")
    if engine.dialect.name != "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")  # as the server does by itself, a minute later
    engine.dispose()


def _key(dialect: str) -> str:
    return "printf('%024d', i)" if dialect == "sqlite" else "lpad(i::text, 24, '0')"


def copied(row: dict[str, Any], table: str, template: str, situation: str, dialect: str) -> Mapping[str, str]:
    """The columns of a copy as SQL: those of the template, with ids, names, owner and moments of its own."""
    key = _key(dialect)
    mixed = "i * 7919 % 1000000"  # in another order than the ids
    pad = f"printf('%08d', {mixed})" if dialect == "sqlite" else f"lpad(({mixed})::text, 8, '0')"
    domain, backwards = f"('d' || {pad} || '.example')", f"('example.d' || {pad} || '.')"
    www = str(row.get("name", "")).startswith("www.")
    ends = f"{NOW} + {DAY} + (i % 90) * {DAY}" if situation == "active" else f"{NOW} + {5 * DAY}"
    late = f"{ends} - {DAY // 2}" if situation == "active" else f"{NOW} - {DAY}"
    has_leaf = situation in ("active", "late")
    own = {
        "owner": f"('customer-' || (i * 31 % {OWNERS}))",
        "domain": domain,
        "name": f"('www.' || {domain})" if www else domain,
        "reversed": f"({backwards} || 'www.')" if www else backwards,
        "serial": key if has_leaf else "NULL",
        "fingerprint_sha256": f"('f' || {key})" if has_leaf else "NULL",
        "fingerprint_sha1": f"('e' || {key})" if has_leaf else "NULL",
        "not_after": ends if has_leaf else "NULL",
        "late_at": late if has_leaf else "NULL",
        "due_at": f"{NOW} + (i % 86400) * 1000000",
        "position": "NULL",
    }
    columns = {}
    for name, value in row.items():
        if table == "events" and name == "sequence":
            continue
        if value == template:
            columns[name] = key
        elif name in own:
            columns[name] = own[name]
        elif name in ("issuance_id", "active_issuance_id", "key_owner_id", "renewal_info_issuance") or (
            table == "issuances" and name == "id"
        ):
            columns[name] = "NULL" if value is None else f"('i' || {key})"
        else:
            columns[name] = literal(value)
    return columns


def literal(value: object) -> str:
    """A value as SQL."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case _:
            return "'" + str(value).replace("'", "''") + "'"


def calls(core: CertCore, count: int) -> dict[str, Callable[[], object]]:
    """What is measured, by name; each call takes other arguments."""
    chance = random.Random(1)

    def cursor(order: SortKey) -> str:
        certificate = core.certificates.get(f"{chance.randint(1, count):024}")
        return Position.of(certificate, order).cursor(order, descending=False)

    def number() -> str:
        return f"{chance.randint(1, count) * 7919 % 1_000_000:08}"

    def owner() -> str:
        return f"customer-{chance.randrange(OWNERS)}"

    def rows(**filters: Any) -> Callable[[], object]:
        return lambda: core.certificates.rows(
            limit=PAGE, **{name: value() if callable(value) else value for name, value in filters.items()}
        )

    return {
        "rows, first page": rows(),
        "rows, a page in the middle": rows(after=lambda: cursor(SortKey.DOMAIN)),
        "rows, by their end": rows(order="not_after", after=lambda: cursor(SortKey.NOT_AFTER)),
        "rows of one owner": rows(owner=owner),
        "rows of one status": rows(status="error"),
        "rows, overdue": rows(condition="RenewalInDanger"),
        "rows, overdue, by their end": rows(condition="RenewalInDanger", order="not_after"),
        "rows, the owner has to act": rows(condition="OwnerActionNeeded"),
        "rows, deployment failed": rows(condition="DeploymentFailed"),
        "rows below a domain": rows(below=lambda: f"d{number()}.example"),
        "rows that a search finds": rows(search=lambda: f"d{number()[:6]}"),
        "one certificate's view": lambda: core.certificates.view(f"{chance.randint(1, count):024}"),
        "one certificate's hints": lambda: core.certificates.hints(f"{chance.randint(1, count):024}"),
        "the numbers of a dashboard": core.certificates.counts,
        "the numbers of one owner, counted now": lambda: core.certificates.counts(owner=owner(), max_age=0),
        "the numbers of all, counted now": lambda: core.certificates.counts(max_age=0),
        "the feed of events": lambda: core.events(after=str(chance.randint(1, count)), limit=PAGE),
        "the feed of one owner, newest first": lambda: core.events(owner=owner(), descending=True, limit=PAGE),
        "rows with a text in a name": rows(name=lambda: number()[2:]),
    }


def measured(call: Callable[[], object], times: int) -> tuple[list[float], list[float]]:
    """How long some calls took, and their CPU time in this process, in milliseconds; the first one is not counted."""
    call()
    wall, cpu = [], []
    for _ in range(times):
        begun, used = time.perf_counter(), time.process_time()
        call()
        wall.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    return wall, cpu


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[max(0, int(len(values) * 0.95) - 1)]


if __name__ == "__main__":
    main()
