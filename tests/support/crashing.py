"""A process that kills copies of itself: reads orders from stdin, one JSON document a line, and answers on stdout.

An order names a store, a point, and a certificate, a CA profile or a file. A forked copy opens the store, does what a
user and a worker would do for that certificate, rolls that profile's account key over, or tells observers that write
into that file of all events. It kills itself with SIGKILL at the point. The points are found by the code itself: each
return from a commit, from an exchange with the CA, and from an observer. Between two of them nothing changes outside
the process.
"""

import functools
import importlib
import os
import signal
import threading
import time
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from certcore import CertCore, Status, hookimpl
from certcore.engine.reconcile import Reconciled
from certcore.engine.worker import HOLD
from certcore.net.http_connection import HttpConnection
from certcore.testing.clock import FrozenEnvironment
from certcore_puq_acme.profile.limits import registry_domain
from support.killed_copies import serve_orders

#: Loaded once, not in every copy.
_LOADED_LATE = (
    "certcore.adapters.sql",
    "certcore.contrib.pkcs11.keyring",
    "certcore_puq_acme.accounts.actions",
    "certcore_puq_acme.hints.certificate",
    "certcore_puq_acme.orders.advance",
    "certcore_puq_acme.plugin",
    "cryptography.hazmat.backends.openssl",
    "dns.rdtypes.ANY.CNAME",
    "dns.rdtypes.ANY.TXT",
    "opentelemetry.trace",
    "psycopg",
    "sqlite3",
)


class Observer:
    """Adds a line to a file for each event: its name, the certificate and the number."""

    def __init__(self, name, path, arrive=lambda: None):
        self.__name__ = name
        self.path = Path(path)
        self.arrive = arrive

    @hookimpl
    def certcore_on_event(self, event):
        with self.path.open("a") as file:
            file.write(f"{self.__name__} {event.certificate_id} {event.number}\n")
        self.arrive()


_SECONDS = 120


def main():
    """Serve until stdin ends."""
    for name in _LOADED_LATE:
        importlib.import_module(name)
    registry_domain("shop.test")  # reads the list of public suffixes, of this process and its copies
    serve_orders(run)


def run(url, keyring, point, certificate="", authority="", *, in_hand=False, told="", at=""):
    """Work on one certificate, roll a key over, or deliver events; returns 0 when all was done before the point came.

    With ``told``, two observers write into that file what they are told at the moment ``at``. With ``in_hand``, the
    certificate is kept between two steps as a worker does, which need not store each of them.
    """
    reached, working = 0, threading.get_ident()

    def arrive():
        nonlocal reached
        if threading.get_ident() == working:
            reached += 1
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

    observers = [Observer(name, told, arrive) for name in ("first", "second") if told]
    environment = FrozenEnvironment(datetime.fromisoformat(at)) if at else None
    with CertCore.open(url, keyring=keyring, plugins=observers, environment=environment) as core:
        # Not by sys.setprofile: it takes as much time as the work.
        sa.Connection.commit = _arriving(sa.Connection.commit, arrive)
        HttpConnection.exchange = _arriving(HttpConnection.exchange, arrive)
        if told:
            core.deliver_events()
            return 0
        if authority:
            core.authorities.run_action(authority, "roll_over_account_key")
            return 0
        core.certificates.generate_csr(certificate)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            done = _reconcile_in_hand(core, certificate) if in_hand else core.reconcile(certificate)
            if done.status is Status.ACTIVE and not any(
                issuance.needs_clean_up for issuance in core.certificates.issuances(certificate)
            ):
                return 0
            if done.look_again is not None:
                ahead = (done.look_again - core.now()).total_seconds()
                time.sleep(min(max(ahead, 0), 0.05))
    return 1


def _arriving(function, arrive):
    """The function, which arrives at a point when it returns or raises."""

    @functools.wraps(function)
    def arriving(*arguments, **named):
        try:
            return function(*arguments, **named)
        finally:
            arrive()

    return arriving


def _reconcile_in_hand(core, certificate):
    """Take all steps that follow each other within a worker's patience, under one lease."""
    engine = core._engine  # noqa: SLF001 - this is a script, which cannot import its neighbours
    for schedule in engine.claim_due(1):
        leased = engine.load(schedule)
        while leased.schedule.lease_owner:
            time.sleep(max((leased.schedule.due_at - core.now()).total_seconds(), 0))
            leased = engine.step(leased, keep_lease=HOLD)
    view = core.certificates.view(certificate)
    return Reconciled(
        certificate_id=certificate, status=view.certificate.status, look_again=view.schedule.due_at, stepped=True
    )


if __name__ == "__main__":
    main()
