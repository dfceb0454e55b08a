"""``python -m certcore.testing``: run Pebble, the test CA of Let's Encrypt, on this machine until Ctrl-C or SIGTERM.

It writes the files for a CA profile into the folder ``--out``: ``directory.url``, ``server-roots.pem`` (the roots of
Pebble's HTTPS certificate) and ``issuer-root.pem`` (the root of the issued certificates).
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from certcore.errors import CertCoreError
from certcore.testing.pebble import Pebble


def main() -> int:
    """Run until a signal arrives."""
    parser = argparse.ArgumentParser(prog="python -m certcore.testing", description=__doc__.split("\n\n")[0])
    parser.add_argument("--dns", required=True, metavar="HOST:PORT", help="the DNS server that Pebble validates with")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the files are written")
    chosen = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with Pebble.start(dns_server=chosen.dns) as pebble:
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / "server-roots.pem").write_text(pebble.roots_pem)
            (chosen.out / "issuer-root.pem").write_text(pebble.issuer_root_pem())
            # Written last, so that its existence means that all files exist.
            (chosen.out / "directory.url").write_text(f"{pebble.directory_url}\n")
            print(f"Pebble's directory is {pebble.directory_url}", flush=True)  # noqa: T201 - this is a command
            stop.wait()
    except CertCoreError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
