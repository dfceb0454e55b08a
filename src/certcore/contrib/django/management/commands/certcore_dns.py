"""``manage.py certcore_dns``: run the DNS server of the tech zones until SIGTERM or Ctrl-C."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from certcore import serve_zones
from certcore.contrib.django.access import config, get_core
from certcore.contrib.django.stopping import until_stopped

__all__ = ["Command"]

_MAX_PORT: Final = 65535
#: Seconds between two checks whether a signal has arrived.
_INTERVAL: Final = 1.0


class Command(BaseCommand):
    """Serve the tech zones of all CA profiles. Without ``CERTCORE["CORE"]`` this needs no keyring."""

    help = "Serve the tech zones of all CA profiles until SIGTERM or Ctrl-C. New profiles need no restart."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of the command."""
        parser.add_argument(
            "--listen", default="127.0.0.1:5353", metavar="HOST:PORT", help="Address and port; port 0 takes a free one."
        )
        parser.add_argument("--module", default="", help="The CA module; by default the only one with a DNS server.")

    def handle(self, *_: Any, listen: str, module: str, **__: Any) -> None:
        """Run until SIGTERM or SIGINT arrives."""
        address, options = _address(listen), config().settings()
        with until_stopped() as stop:
            if options.core is not None:
                server = get_core().dns_server(listen=address, module=module)
            else:
                server = serve_zones(
                    options.database,
                    listen=address,
                    module=module,
                    plugins=config().plugins(),
                    installed_plugins=options.installed_plugins,
                )
            try:
                host, port = server.address
                self.stdout.write(f"Listening on {f'[{host}]' if ':' in host else host}:{port} (UDP and TCP).")
                while not stop.wait(_INTERVAL):
                    pass
            finally:
                server.close()
        self.stdout.write("Stopped.")


def _address(text: str) -> tuple[str, int]:
    """Parse ``HOST:PORT``; an IPv6 address may be in brackets."""
    host, separator, port = text.strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not separator or not bare or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise CommandError(f"--listen: {text[:60]!r} is not HOST:PORT, for example 127.0.0.1:5353.")
    return bare, int(port)
