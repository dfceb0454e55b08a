"""``manage.py certcore_worker``: issue and renew certificates until SIGTERM or Ctrl-C."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand

from certcore.contrib.django.access import get_core
from certcore.contrib.django.stopping import until_stopped

__all__ = ["Command"]

#: Seconds that the worker waits for running steps when it stops.
_DRAIN_TIMEOUT: Final = 60.0
#: Seconds between two checks of the worker's threads.
_HEALTH_INTERVAL: Final = 5.0


class Command(BaseCommand):
    """Validate, issue and renew all certificates, and deliver events."""

    help = "Validate, issue and renew all certificates until SIGTERM or Ctrl-C; running steps are finished."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of the command."""
        parser.add_argument("--threads", type=int, default=4, help="How many threads take steps.")
        parser.add_argument("--in-flight", type=int, default=8, help="How many certificates are in hand at once.")
        parser.add_argument(
            "--once", action="store_true", help="Take one step of every certificate that is due, then exit. For cron."
        )

    def handle(self, *_: Any, threads: int, in_flight: int, once: bool, **__: Any) -> None:
        """Run until SIGTERM or SIGINT arrives; with ``--once``, until each due certificate has had a step."""
        core = get_core()
        if once:
            for certificate_id in core.due(limit=1000):
                core.reconcile(certificate_id)
            core.run_preflights()
            core.deliver_events()
            return
        worker = core.worker(threads=threads, in_flight=in_flight)
        with until_stopped() as stop:
            worker.start()
            self.stdout.write("Working. SIGTERM or Ctrl-C stops it.")
            try:
                while not stop.wait(_HEALTH_INTERVAL):
                    worker.health()  # replaces a thread that died
            finally:
                self.stdout.write("Stopping after the running steps have finished.")
                worker.stop(_DRAIN_TIMEOUT)
        self.stdout.write("Stopped.")
