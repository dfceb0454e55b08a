"""A process that writes TXT values as orders do, and may kill copies of itself: reads JSON from stdin, one a line.

Each line names a store, the settings of a CA profile, and issuances that want a value at the same names. A forked copy
has each issuance, in a thread of its own, store its values, publish them, look whether the server shows them, and
withdraw them. With a point it kills itself there: the points are each return from a commit, and from an exchange with
the DNS server.
"""

import os
import signal
import sys
import threading
import time
from contextlib import closing
from datetime import timedelta

import dns.message
import dns.query
import dns.rdatatype
import psycopg  # noqa: F401 - imported here once, not in every copy
import sqlalchemy as sa
from attrs import frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.sql import open_storage
from certcore.engine.module_store import StoredDocuments
from certcore.model.form import structure
from certcore.net.http_connection import HttpConnection
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.profile.settings import PuqAcmeProfile
from certcore_puq_acme.profile.zone_writer import ZoneConnections, publication_of
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord
from certcore_puq_acme.techzone.writers.rfc2136 import Rfc2136Writer
from support.killed_copies import serve_orders

WATCHED = frozenset(
    {sa.Connection.commit.__code__, HttpConnection.exchange.__code__, Rfc2136Writer._exchange.__code__}  # noqa: SLF001
)
_SECONDS = 60


@frozen
class Later:
    """The system's environment, some seconds ahead."""

    seconds: float

    def now(self):
        return SystemEnvironment().now() + timedelta(seconds=self.seconds)

    def new_id(self):
        return SystemEnvironment().new_id()

    def roll(self):
        return SystemEnvironment().roll()


def documents_of(storage):
    """The documents of the ACME module; secrets are not used."""
    return StoredDocuments(storage, None, "puq_acme")


def publication(documents, settings, *, ahead=0.0):
    """The publication of a CA profile's tech zone.

    Args:
        documents: The module's documents.
        settings: The settings of the profile.
        ahead: Seconds that its clock is ahead.
    """
    profile = structure(PuqAcmeProfile, {"tech_zone": "acme.panel.test", **settings})
    context = ModuleContext(authority_id="1", profile=profile, documents=documents, environment=Later(ahead))
    return publication_of(context, ZoneConnections())


def until_done(update):
    """Call until the server has everything; returns what was said on the way that was no other process's turn."""
    said, pause = [], 0.02
    deadline = time.monotonic() + _SECONDS
    while (unwritten := update()) is not None:
        assert time.monotonic() < deadline, f"not written: {unwritten}"
        said += [] if unwritten.is_busy else [unwritten.said]
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)
    return said


def main():
    """Serve until stdin ends."""
    serve_orders(run)


def run(url, settings, names, issuances, port, point=0):
    """Publish and withdraw; returns how many issuances did not see what they should have seen."""
    reached = 0

    def watch(frame, event, _):
        nonlocal reached
        if event == "return" and frame.f_code in WATCHED:
            reached += 1
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

    with closing(open_storage(url)) as storage:
        if point:
            threading.setprofile(watch)
        wrong = []
        same = (storage, settings, names, port, wrong)
        threads = [threading.Thread(target=_order, args=(one, *same)) for one in issuances]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for text in wrong:
        sys.stderr.write(f"{text}\n")
    return min(len(wrong), 100)


def _order(issuance, storage, settings, names, port, wrong):
    try:
        documents = documents_of(storage)
        records, zone = TechZoneRecords(documents), publication(documents, settings)
        value = f"value-of-{issuance}"
        now = SystemEnvironment().now()
        records.add_many(TxtRecord(fqdn=name, value=value, issuance_id=issuance, added_at=now) for name in names)
        until_done(lambda: zone.update(names))
        wrong += [f"{value} is missing at {name}" for name in names if value not in shown(port, name)]
        time.sleep(0.1)  # while others come and go
        wrong += [f"{value} was lost at {name}" for name in names if value not in shown(port, name)]
        records.remove_issuance_now(issuance, names)
        until_done(lambda: zone.update(names))
        wrong += [f"{value} stays at {name}" for name in names if value in shown(port, name)]
    except Exception as error:  # whatever it was, the test is to say it
        wrong.append(repr(error))


def shown(port, name):
    """The TXT values that a server of this machine shows."""
    answer = dns.query.tcp(dns.message.make_query(name, "TXT"), "127.0.0.1", port=port, timeout=20).answer
    return {b"".join(data.strings).decode() for rrset in answer if rrset.rdtype == dns.rdatatype.TXT for data in rrset}


if __name__ == "__main__":
    main()
