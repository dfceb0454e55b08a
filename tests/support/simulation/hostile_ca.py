"""The hostile-CA table: what comes in thirty days of each fault of a CA.

in tests: python -m support.simulation.hostile_ca           write the table into docs/reference/tested-with.md
in tests: python -m support.simulation.hostile_ca --check   say whether it is up to date (the tests do, row by row)
"""

import re
import sys
from datetime import timedelta
from pathlib import Path

from attrs import evolve, frozen

from support.simulation.ca_faults import DAY, DAYS, FAULTS, HOUR, WEEK
from support.simulation.simulated_world import World

PAGE = Path(__file__).parents[3] / "docs/reference/tested-with.md"
START = "<!-- made by tests/support/simulation/hostile_ca.py: start -->"
END = "<!-- made by tests/support/simulation/hostile_ca.py: end -->"
#: The bound of the engine: orders of one certificate within a week, or twice what the lifetime of its leaves needs.
MOST_ORDERS = 5
#: Requests for an order of one certificate within a week, those that the CA refuses among them.
MOST_ASKED = 20
MOST_REQUESTS_AN_HOUR = 60


@frozen(kw_only=True)
class Fate:
    """What became of one certificate."""

    #: ``new`` or ``renewal``.
    kind: str
    #: Whether a leaf that is valid is in service at the end; of the renewal: a new one.
    got_it: bool
    #: Whether a leaf that was in service ended before there was another.
    lapsed: bool
    orders: int
    most_orders_a_week: int
    #: Requests for an order, whatever the answer, within a week.
    most_asked_a_week: int
    #: What its page warns of, and the certificate's problem, at the end.
    page: tuple[str, ...]
    #: The same when two thirds of the time between the renewal's moment and the old leaf's end had passed.
    page_before: tuple[str, ...] = ()


@frozen(kw_only=True)
class Outcome:
    """What became of a row."""

    new: Fate
    renewal: Fate
    #: Of both together, and of the one that asked most: signed by its account, or by none.
    most_requests_an_hour: int
    most_of_one_an_hour: int
    #: Moment, kind and status of every request.
    log: tuple

    def cause(self):
        """What the page says where something did not go on."""
        told = [one.page for one in (self.new, self.renewal) if not one.got_it and one.page]
        return told[0][0] if told else ""


def run(faults, *, seed=0, days=DAYS):
    """Thirty days with a CA that does these things wrong; a certificate has a leaf in service, and one is new."""
    world = World(seed)
    try:
        old = world.request("old.shop.test")
        world.run(world.environment.now() + HOUR, [old])
        assert world.in_service(old)
        leaf = world.get(old).not_after
        world.environment.advance(faults[0].age)
        world.run(world.environment.now(), [old])
        del world.ca.asked[:]
        began = world.environment.now()
        _arm(world.ca, faults, began)
        new = world.request("new.shop.test", profile=world.profile("opened later"))
        page_before = ()
        for day in range(1, 1 + days):
            # Not at the moment at which a week is over: an order is then just being placed.
            world.run(began + day * DAY - timedelta(minutes=20), [old, new])
            if day == 20:
                page_before = page_of(world, old)
        asked = world.ca.asked
        accounts = {one.account for one in asked if one.account}
        by_account = [[one.at for one in asked if one.account in ("", account)] for account in accounts or {""}]
        return Outcome(
            new=_fate(world, new, "new", got_it=world.in_service(new)),
            renewal=evolve(
                _fate(world, old, "renewal", got_it=world.in_service(old) and world.get(old).not_after != leaf),
                page_before=page_before,
            ),
            most_requests_an_hour=_most_within(HOUR, [one.at for one in asked]),
            most_of_one_an_hour=max(_most_within(HOUR, moments) for moments in by_account),
            log=tuple((one.at - began, one.kind, one.status) for one in world.ca.asked),
        )
    finally:
        world.close()


def page_of(world, certificate_id):
    """What a certificate's page says that is wrong."""
    trouble = world.get(certificate_id).problem
    return tuple([str(trouble)] if trouble else []) + tuple(world.warnings(certificate_id))


def _fate(world, certificate_id, kind, *, got_it):
    name = world.get(certificate_id).domain.ascii
    requests = [one for one in world.ca.asked if one.kind == "newOrder" and name in one.wanted]
    ordered = [request.at for request in requests if request.names]
    return Fate(
        kind=kind,
        got_it=got_it,
        lapsed=any(one == certificate_id for _, one in world.lapses),
        orders=len(ordered),
        most_orders_a_week=_most_within(WEEK, ordered),
        most_asked_a_week=_most_within(WEEK, [request.at for request in requests]),
        page=page_of(world, certificate_id),
    )


def _arm(ca, faults, began):
    """From now on the CA does these things; what it does once it does for the renewal once more."""
    counts = {}
    tampers = {fault.axis: fault.tamper for fault in faults if fault.tamper is not None}
    renewal = began + 30 * DAY - faults[0].age - 12 * HOUR

    def tamper(ca, kind, _, handle):
        if kind not in tampers:
            return handle()
        key = kind, ca.environment.now() >= renewal
        counts[key] = counts.get(key, 0) + 1
        return tampers[kind](ca, handle, counts[key])

    ca.tamper = tamper
    for one in faults:
        if one.prepare is not None:
            one.prepare(ca)


def _most_within(span, moments):
    """The largest number of moments within a span of time."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


#: What the page has to say of a fault for which there is no leaf.
_CAUSES = {
    "404": "does not know",
    "500": "failed",
    "badNonce": "as replays",
    "garbage": "sent (something|an? .* without a usable)",
    "its answer": "closed the connection",
    "a status": "processing this order|not completed the order|has answered",
    "expired": "has expired already",
}


def _says_why(faults, page):
    """Whether a page names the cause: one of those faults that prevent a leaf."""
    known = [
        cause for fault in faults if fault.prevents for start, cause in _CAUSES.items() if fault.name.startswith(start)
    ]
    return any(re.search(cause, text) for cause in known or [""] for text in page)


def complaints(faults, outcome, *, days=DAYS):
    """What an outcome has that it must not have."""
    found = []
    prevents = frozenset().union(*(fault.prevents for fault in faults))
    shortest = min((fault.lifetime for fault in faults if fault.lifetime), default=45 * DAY)
    # Leaves that live for less than ten days are renewed at half of their life, and the first one is no renewal.
    most = MOST_ORDERS if shortest > 10 * DAY else 1 + 2 * (WEEK / (shortest / 2))
    for fate in (outcome.new, outcome.renewal):
        can_be_had = fate.kind not in prevents
        if can_be_had and not fate.got_it:
            found.append(f"{fate.kind}: no leaf, though one can be had; the page: {fate.page}")
        if can_be_had and fate.lapsed:
            found.append(f"{fate.kind}: its leaf ended before there was another")
        if fate.most_orders_a_week > most:
            found.append(f"{fate.kind}: {fate.most_orders_a_week} orders within a week, more than {most:g}")
        if fate.most_asked_a_week > most / MOST_ORDERS * MOST_ASKED:
            found.append(f"{fate.kind}: {fate.most_asked_a_week} requests for an order within a week")
        if not fate.got_it and (days == DAYS or fate.kind == "new") and not _says_why(faults, fate.page):
            found.append(f"{fate.kind}: the page does not say why there is no leaf: {fate.page}")
    if days == DAYS and not outcome.renewal.got_it and not outcome.renewal.page_before:
        found.append("renewal: late, and the page does not say why")
    if outcome.most_of_one_an_hour > MOST_REQUESTS_AN_HOUR:
        found.append(f"{outcome.most_of_one_an_hour} requests for one certificate within an hour")
    return found


def line(fault, outcome):
    """A row of the printed table."""
    new = "in service" if outcome.new.got_it else "no leaf"
    renewal = "renewed" if outcome.renewal.got_it else "not renewed"
    cause = " ".join(outcome.cause().split()).replace("|", "\\|")
    # When it began and how often it was seen changes with every pause; the sentence does not.
    cause = re.sub(r" This has lasted since [\d :-]*UTC( \(\d+ times\))?\.", "", cause)
    cause = re.sub(r"It was asked \d+ times, and", "It", cause)
    cause = re.sub(r"(\bsince )?\d{4}-\d\d-\d\d[ \d:]*UTC( \(\d+ times\))?|looked at \d+ times", "…", cause)
    return f"| {fault.axis} | {fault.name} | {new} | {renewal} | {cause[:160]} |"


def table():
    """The whole table, in Markdown."""
    # Thirty days of hourly renewals take minutes; `make soak` has them.
    rows = [line(fault, run([fault], days=fault.short if fault.lifetime == HOUR else DAYS)) for fault in FAULTS]
    return "\n".join(
        [
            START,
            "| request | what the CA does | new certificate | renewal | the page says |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            END,
        ]
    )


def printed():
    """The rows that the page has."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    return rest.partition(END)[0].strip().splitlines()[2:]


def main():
    """Write or check."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    fresh = before + table() + rest.partition(END)[2]
    if "--check" in sys.argv[1:]:
        if fresh != text:
            sys.stdout.write("tested-with.md is not up to date; in tests: python -m support.simulation.hostile_ca\n")
        return int(fresh != text)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
