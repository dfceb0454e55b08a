"""A process that kills copies of itself: reads orders from stdin, one JSON document a line, and answers on stdout.

An order names a store, a point, and a certificate or a CA profile. A forked copy opens the store, does what a user and
a worker would do for that certificate, or rolls that profile's account key over, and kills itself with SIGKILL at the
point. The points are found by the code itself: each return
from a commit, and each return from an exchange with the CA. Between two of them nothing changes outside the process.
"""

import json
import os
import signal
import sys
import time

import acme.messages  # noqa: F401 - imported here once, not in every copy
import psycopg  # noqa: F401
import sqlalchemy as sa

import certcore.adapters.sql  # noqa: F401
import certcore_puq_acme.steps  # noqa: F401
from certcore import CertCore, Status
from certcore_puq_acme.connection import Connection

WATCHED = frozenset({sa.Connection.commit.__code__, Connection.exchange.__code__})
_SECONDS = 120


def main():
    """Serve until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(**order))
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        answer = {"killed": killed, "exit": None if killed else os.waitstatus_to_exitcode(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def run(url, keyring, point, certificate="", authority=""):
    """Work on one certificate, or roll a key over; returns 0 when all was done before the point came."""
    reached = 0

    def watch(frame, event, _):
        nonlocal reached
        if event == "return" and frame.f_code in WATCHED:
            reached += 1
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

    with CertCore.open(url, keyring=keyring) as core:
        sys.setprofile(watch)
        if authority:
            core.authorities.act(authority, "roll_over_account_key")
            return 0
        core.certificates.generate_csr(certificate)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            done = core.reconcile(certificate)
            if done.status is Status.ACTIVE and not any(
                one.needs_clean_up for one in core.certificates.issuances(certificate)
            ):
                return 0
            if done.look_again is not None:
                ahead = (done.look_again - core.engine.environment.now()).total_seconds()
                time.sleep(min(max(ahead, 0), 0.05))
    return 1


if __name__ == "__main__":
    main()
