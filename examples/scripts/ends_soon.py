"""Say which certificates need a person: they end soon, or have ended, and nothing renews them.

    python ends_soon.py [DAYS]

Ends with 1 when there are any, for a monitoring system, and with 2 when it could not look. Certificates that renew
themselves are named when their renewal is late. The store is that of obtain.py.
"""

import sys
from collections.abc import Iterator
from typing import Any

import certcore
from certcore.model.certificate import Certificate


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
        found = 0
        for one in pages(core, days_to=days, renews_itself=False):
            found += 1
            print(f"{one.domain} ({one.status}): ends {one.not_after:%Y-%m-%d}, and nothing renews it")
        for one in pages(core, days_to=days, renews_itself=True):
            view = core.certificates.view(one.id)
            if view.renews_at is not None and view.renews_at < view.now:
                found += 1
                print(f"{one.domain} ({one.status}): renewal due since {view.renews_at:%Y-%m-%d}; {one.problem or ''}")
    return 1 if found else 0


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else "14"
    if not (given.isdecimal() and len(given) <= 5):
        print(f"DAYS is a whole number, and not {given[:40]!r}.", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(int(given)))
    except certcore.CertCoreError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
