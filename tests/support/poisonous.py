"""A worker process with a CA module that throws at some certificates: says how it is when its time is over, as JSON."""

import asyncio
import json
import sys
import threading
import time

from certcore import CertCore
from certcore.adapters.environment import SystemEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA


class Leaving(BaseException):
    """What frameworks throw to end whatever runs."""


def _deep(depth=0):
    return _deep(depth + 1)


def _sleep():
    time.sleep(0.5)
    raise TimeoutError


def _raise(error):
    raise error


POISONS = (
    lambda: _raise(SystemExit(1)),
    lambda: _raise(KeyboardInterrupt()),
    lambda: _raise(asyncio.CancelledError()),
    lambda: _raise(GeneratorExit()),
    lambda: _raise(Leaving()),
    lambda: _raise(MemoryError()),
    _deep,
    _sleep,
    sys.exit,
)


class PoisonousCA(ScriptedCA):
    """Issues, but for names like ``poison7.example``, at which it throws in one of several ways."""

    def __init__(self):
        super().__init__([Act.ISSUE], now=SystemEnvironment().now())
        self.thrown = 0

    def advance(self, work):
        label = work.certificate.domain.ascii.partition(".")[0]
        if label.startswith("poison"):
            self.thrown += 1
            POISONS[int(label.removeprefix("poison")) % len(POISONS)]()
        return super().advance(work)


def main(url, keyring, seconds):
    """Work for so long."""
    ca = PoisonousCA()
    with CertCore.open(url, keyring=keyring, plugins=[ca.plugin()], installed_plugins=False) as core:
        worker = core.worker(threads=4, poll_interval=0.2)
        worker.start()
        threading.Event().wait(float(seconds))
        health = worker.health()
        alive = sum(thread.name.startswith("certcore-worker") for thread in threading.enumerate())
        worker.stop(60)
    told = {"threads": health.threads, "replaced": health.replaced, "lost": health.lost, "alive": alive}
    sys.stdout.write(json.dumps({**told, "silent": health.silent, "thrown": ca.thrown}))


if __name__ == "__main__":
    main(*sys.argv[1:])
