"""Print the certificates that need attention: they end soon, or have ended, and are not renewed automatically.

    python ends_soon.py [DAYS]

Exits with 1 if there are any, for a monitoring system, and with 2 if it could not check. Certificates that are
renewed automatically are printed if their renewal is late. The store is that of obtain.py.
"""

import sys
from collections.abc import Iterator
from typing import Any

import certcore
from certcore import Certificate


def pages(core: certcore.CertCore, **filters: Any) -> Iterator[Certificate]:
    """All certificates of a list, page by page."""
    cursor = None
    while True:
        page = core.certificates.list(after=cursor, limit=500, order="not_after", **filters)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def main(days: int) -> int:
    with certcore.CertCore.open("sqlite:///certcore.db", keyring="keyring.json") as core:
        count = 0
        for certificate in pages(core, days_to=days, renews_itself=False):
            count += 1
            name = f"{certificate.domain} ({certificate.status})"
            print(f"{name}: ends {certificate.not_after:%Y-%m-%d}, and nothing renews it")
        for certificate in pages(core, days_to=days, renews_itself=True):
            view = core.certificates.view(certificate.id)
            if view.renews_at is not None and view.renews_at < view.now:
                count += 1
                name = f"{certificate.domain} ({certificate.status})"
                print(f"{name}: renewal due since {view.renews_at:%Y-%m-%d}; {certificate.problem or ''}")
    return 1 if count else 0


if __name__ == "__main__":
    days = sys.argv[1] if len(sys.argv) > 1 else "14"
    if not (days.isdecimal() and len(days) <= 5):
        print(f"DAYS must be a whole number, not {days[:40]!r}.", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(int(days)))
    except certcore.CertCoreError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
