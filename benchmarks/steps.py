"""What one certificate of one name costs the database, from its CSR to active: statements, commits, read transactions.

    python benchmarks/steps.py [--certificates 5] [--databases sqlite postgresql] [--sites]

Each certificate is issued by itself: a worker takes it up, a real Pebble validates it through a real DNS server, and
SQLAlchemy's events count. The rows of the account and of the CA profile are there already. With --sites every
transaction is shown with the function that opened it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa
from servers import PostgreSQL

from certcore import CertCore
from certcore.model.hints import DnsRecords
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.pebble import Pebble

_ISSUED_WITHIN = 60.0
#: Limits such as public CAs have: a place in each is part of what is counted.
_LIMITS = (
    "orders 300 per 3h",
    "registered_domain 50 per 7d",
    "same_names 5 per 7d",
    "failed_authorizations 5 per 1h",
)
#: Frames that belong to the way into a transaction, and not to whoever opened it.
_PLUMBING = ("/contextlib.py", "/sqlalchemy/", "/adapters/sql/", "/benchmarks/steps.py")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--certificates", type=int, default=5, help="how many are counted, one after the other")
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options.add_argument("--sites", action="store_true", help="show which function opened each transaction")
    chosen = options.parse_args()
    for kind in chosen.databases:
        with database(kind) as url:
            counts = count(url, chosen.certificates)
        for name in ("statements", "commits", "reads"):
            each = [getattr(one, name) for one in counts]
            print(f"{kind:<12} {name:<12} {min(each)} to {max(each)} per certificate", flush=True)
        if chosen.sites:
            print(*(f"    {line}" for line in counts[-1].sites()), sep="\n", flush=True)


class Counts:
    """What one engine did, by SQLAlchemy's events: statements, commits, and transactions that only read."""

    def __init__(self) -> None:
        self.statements = 0
        self.commits = 0
        self.reads = 0
        self._sites: dict[str, Counter[str]] = {}
        self._open: dict[int, list[str]] = {}
        self._lock = threading.Lock()

    def sites(self) -> list[str]:
        """One line for each function that opened transactions: how many there were, and what was in them."""
        lines = []
        for site, transactions in self._sites.items():
            lines += [f"{number} x {what:<55} {site}" for what, number in transactions.items()]
        return lines

    @contextlib.contextmanager
    def watching(self, engine: sa.Engine) -> Iterator[None]:
        """Count what is done on this engine inside the block."""
        listeners: dict[str, Callable[..., Any]] = {
            "begin": self._begin,
            "commit": self._commit,
            "rollback": self._rollback,
            "before_cursor_execute": self._statement,
        }
        for name, listener in listeners.items():
            sa.event.listen(engine, name, listener)
        try:
            yield
        finally:
            for name, listener in listeners.items():
                sa.event.remove(engine, name, listener)

    def _begin(self, connection: sa.Connection) -> None:
        with self._lock:
            self._open[id(connection)] = [_site(sys._getframe(1))]

    def _statement(self, connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        table = next((word for word in words if word.startswith("certcore_")), "")
        with self._lock:
            self.statements += 1
            self._open.setdefault(id(connection), ["?"]).append(f"{words[0].lower()} {_table(table)}")

    def _commit(self, connection: sa.Connection) -> None:
        with self._lock:
            self.commits += 1
            self._end(connection, "commit")

    def _rollback(self, connection: sa.Connection) -> None:
        with self._lock:
            self.reads += 1
            self._end(connection, "read")

    def _end(self, connection: sa.Connection, kind: str) -> None:
        site, *statements = self._open.pop(id(connection), ["?"])
        what = ", ".join(f"{number} {text}" for text, number in Counter(statements).items())
        self._sites.setdefault(site, Counter())[f"{kind}: {what or 'nothing'}"] += 1


def _table(word: str) -> str:
    return word.removeprefix("certcore_").partition(".")[0].rstrip(",;)")


def _site(frame: FrameType | None) -> str:
    """The innermost functions of certcore that are not the store's own: who opened the transaction."""
    names: list[str] = []
    while frame is not None and len(names) < 4:
        path = frame.f_code.co_filename
        if "certcore" in path and not any(part in path for part in _PLUMBING):
            names.append(f"{Path(path).stem}.{frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(names)


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """The URL of a new database of this kind."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
            yield f"sqlite:///{folder}/certcore.db"
    else:
        with PostgreSQL.start() as server:
            yield server.new_database()


def count(url: str, certificates: int) -> Sequence[Counts]:
    """Issue certificates one after the other from Pebble, and count each."""
    with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
        keyring = Path(folder) / "keyring.json"
        CertCore.create_keyring(keyring)
        # The DNS server has connections of its own, which are not counted.
        with CertCore.open(url, keyring=keyring) as core, CertCore.open(url, keyring=keyring) as dns_core:
            zone = MemoryZone("bench.test")
            server = dns_core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[zone])
            try:
                address = f"{server.address[0]}:{server.address[1]}"
                with Pebble.start(dns_server=address) as pebble:
                    return _issue_each(core, zone, pebble, address, certificates)
            finally:
                server.close()


def _issue_each(core: CertCore, zone: MemoryZone, pebble: Pebble, dns_server: str, certificates: int) -> list[Counts]:
    settings: dict[str, Any] = {
        "ca": "custom",
        "directory_url": pebble.directory_url,
        "trusted_roots": pebble.roots_pem,
        "terms_agreed": True,
        "email": "a@bench.test",
        "tech_zone": "acme.panel.test",
        "dns_servers": [dns_server],
        "limits": list(_LIMITS),
    }
    authority = core.authorities.create("bench", module="puq_acme", settings=settings)
    counts = []
    # Nothing but `wake` makes the worker look into the store: looks that find nothing are not part of a certificate.
    worker = core.worker(poll_interval=3600)
    worker.start()
    try:
        for number in range(certificates + 1):
            certificate = core.certificates.create(f"c{number:04}.bench.test", authority=authority.id)
            records = next(hint for hint in core.certificates.hints(certificate.id) if isinstance(hint, DnsRecords))
            zone.set(records.rows[0].name, "CNAME", records.rows[0].value)
            core.certificates.generate_csr(certificate.id)
            counted = Counts()
            with counted.watching(engine_of(core)):
                worker.wake()
                _wait_for(core, certificate.id, worker)
            issued = core.certificates.get(certificate.id)
            if issued.status != "active":
                raise SystemExit(f"{issued.domain} was not issued: {issued.problem}")
            counts.append(counted)
    finally:
        worker.stop()
    return counts[1:]  # the first one opens the account


def _wait_for(core: CertCore, certificate_id: str, worker: Any) -> None:
    """Wait until the worker has it no longer in hand, without a look into the counted store."""
    waiting = threading.Event()
    for _ in range(int(_ISSUED_WITHIN / 0.05)):
        waiting.wait(0.05)
        if not worker.busy:
            return
    raise SystemExit(f"Certificate {certificate_id} was not issued in time")


def engine_of(core: CertCore) -> sa.Engine:
    """The SQLAlchemy engine of a store in a database."""
    storage: Any = core._engine.storage.inner  # below the one that logs
    engine: sa.Engine = storage._database.engine
    return engine


if __name__ == "__main__":
    main()
