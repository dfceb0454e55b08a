"""The hostile-CA table: what a CA can do wrong, each thing alone and in pairs, and what comes of it in thirty days.

in tests: python -m support.simulation.hostile_ca           write the table into docs/reference/tested-with.md
in tests: python -m support.simulation.hostile_ca --check   say whether it is up to date (the tests do, row by row)
"""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

from allpairspy import AllPairs
from attrs import evolve, frozen

from certcore_puq_acme.protocol.errors import TransportError
from support.simulation.simulated_ca import Reply, problem
from support.simulation.simulated_world import World

PAGE = Path(__file__).parents[3] / "docs/reference/tested-with.md"
START = "<!-- made by tests/support/simulation/hostile_ca.py: start -->"
END = "<!-- made by tests/support/simulation/hostile_ca.py: end -->"

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
#: How long the leaf in service has been there when the CA turns hostile: of 45 days, with the renewal due at 30.
AGE = timedelta(days=20)
DAYS = 30
#: The bound of the engine: orders of one certificate within a week, or twice what the lifetime of its leaves needs.
MOST_ORDERS = 5
#: Requests for an order of one certificate within a week, those that the CA refuses among them.
MOST_ASKED = 20
MOST_REQUESTS_AN_HOUR = 60

#: Every request of an issuance, in their order, and the one about renewals.
REQUESTS = (
    "directory",
    "newNonce",
    "newAccount",
    "newOrder",
    "authorization",
    "challenge",
    "order",
    "finalize",
    "finalized order",
    "certificate",
    "renewalInfo",
)
#: What these say while the CA has not got further.
_UNFINISHED = {
    "authorization": "pending",
    "challenge": "pending",
    "order": "pending",
    "finalize": "processing",
    "finalized order": "processing",
}
ALWAYS = 10**9


@frozen
class Fault:
    """One thing that a CA does wrong.

    Args:
        axis: The request, or ``leaf``, ``chain`` or ``renewal``: two faults of one axis do not go together.
        name: In words, for the table.
        prevents: For which certificates there can be no leaf: of ``new`` and ``renewal``.
        tamper: For a request: from CA, way to handle, and occurrence since the fault began, to a reply.
        prepare: For the others: sets the CA up.
        lifetime: What its leaves have left when they are installed, where that is less than the CA's usual lifetime.
        age: How long the leaf in service has been there when the CA turns hostile.
        short: How long it runs in the default tests.
    """

    axis: str
    name: str
    prevents: frozenset[str] = frozenset()
    tamper: Callable | None = None
    prepare: Callable | None = None
    lifetime: timedelta | None = None
    age: timedelta = AGE
    short: int = DAYS

    def __str__(self):
        return f"{self.axis}, {self.name}"


def _not_found(ca, handle):
    return problem(404, "malformed", "No such thing")


def _server_error(ca, handle):
    return problem(500, "serverInternal", "The database is on fire")


def _bad_nonce(ca, handle):
    """Each nonce is refused, the one of this refusal among them."""
    return problem(400, "badNonce", "It was used already")


def _error_of_one_who_acts(ca, handle):
    """The CA acts on the request, and answers that it has failed."""
    handle()
    return _server_error(ca, handle)


def _garbage(ca, handle):
    """The CA acts on the request, and answers with something that nobody can read."""
    return evolve(handle(), status=200, body=b"\x00\xff<garbage", headers={"Replay-Nonce": "?!"})


def _lost(ca, handle):
    """The CA acts on the request, and its answer never arrives."""
    handle()
    raise TransportError("reset", "The CA's server closed the connection.", host="ca.simulated.test")


def _first(times, act):
    return lambda ca, handle, count: act(ca, handle) if count <= times else handle()


def _unfinished(kind, reply):
    """The reply with the status of something that is not done yet."""
    if not isinstance(reply.body, dict) or "status" not in reply.body:
        return reply
    body = {name: value for name, value in reply.body.items() if name != "certificate"}
    return evolve(reply, body=body | {"status": _UNFINISHED[kind]})


def _stuck(kind):
    """The CA takes the request and never gets any further."""

    def tamper(ca, handle, count):
        if kind == "challenge":  # nothing is validated
            return Reply(body={"type": "dns-01", "status": "pending", "token": "t", "url": "https://ca.test/"})
        return _unfinished(kind, handle())

    return tamper


def _retry_after(kind, value):
    """A Retry-After: on everything about an order in work, whose first look brings nothing; else with a 503, once."""

    def tamper(ca, handle, count):
        header = {"Retry-After": value(ca.environment.now())}
        if kind not in _UNFINISHED:
            if count > 1:
                return handle()
            return evolve(problem(503, "rateLimited", "Come back later"), headers=header)
        reply = handle()
        reply = _unfinished(kind, reply) if count == 1 else reply
        return evolve(reply, headers=reply.headers | header)

    return tamper


_BOTH = frozenset({"new", "renewal"})
#: Without these there is no leaf; the account and directory of the renewal are known already.
_NEEDED = {
    "directory": frozenset({"new"}),
    "newNonce": frozenset({"new"}),
    "newAccount": frozenset({"new"}),
    "renewalInfo": frozenset(),
}
#: The CA has acted on these, and the next request tells how far it is.
_ALSO_WITHOUT_ANSWER = ("finalize", "challenge")


def _faults_of(kind):
    needed = _NEEDED.get(kind, _BOTH)
    yield Fault(kind, "404 once", tamper=_first(1, _not_found))
    yield Fault(kind, "404 always", needed, tamper=_first(ALWAYS, _not_found))
    yield Fault(kind, "500 once", tamper=_first(1, _server_error))
    # The longest rows are cut short in the default tests: some before the renewal begins, some after.
    yield Fault(kind, "500 always", needed, tamper=_first(ALWAYS, _server_error), short=11)
    yield Fault(kind, "garbage once", tamper=_first(1, _garbage))
    yield Fault(kind, "its answer is lost once", tamper=_first(1, _lost))
    without = frozenset() if kind in _ALSO_WITHOUT_ANSWER else needed
    short = 4 if without == _BOTH else 11
    yield Fault(kind, "garbage always", without, tamper=_first(ALWAYS, _garbage), short=short)
    yield Fault(kind, "its answer is always lost", without, tamper=_first(ALWAYS, _lost), short=short)
    if kind in _UNFINISHED:
        # An authorization, or the reply to finalize, may say what it likes: the order says how far it is.
        prevents = frozenset() if kind in ("authorization", "finalize") else _BOTH
        yield Fault(kind, "a status that never moves", prevents, tamper=_stuck(kind), short=3 if prevents else DAYS)
    yield Fault(kind, "Retry-After of a day", tamper=_retry_after(kind, lambda now: "86400"))
    past = _retry_after(kind, lambda now: format_datetime(now - HOUR, usegmt=True))
    yield Fault(kind, "Retry-After in the past", tamper=past)
    date = _retry_after(kind, lambda now: format_datetime(now + DAY, usegmt=True))
    yield Fault(kind, "Retry-After as a date", tamper=date)


def _dates(make):
    def prepare(ca):
        ca.dates = make

    return prepare


def _chain(make):
    def prepare(ca):
        ca.chain = make

    return prepare


def _window(make):
    def prepare(ca):
        began = ca.environment.now()
        ca.window = lambda leaf, now: make(leaf, now, began)

    return prepare


def _only_for_old_leaves(leaf, now, began):
    if leaf.not_valid_after_utc < began + timedelta(days=26):
        return now - 2 * HOUR, now - HOUR
    return leaf.not_valid_after_utc - 15 * DAY, leaf.not_valid_after_utc - 14 * DAY


_PLACED = (
    Fault(
        "newOrder",
        "500 always, though the order is placed",
        _BOTH,
        tamper=_first(ALWAYS, _error_of_one_who_acts),
        short=11,
    ),
    Fault("newOrder", "badNonce always", _BOTH, tamper=_first(ALWAYS, _bad_nonce), short=11),
)
_LEAVES = (
    Fault(
        "leaf",
        "an extra name",
        prepare=_dates(lambda names, now: ((*names, f"www.{names[0]}"), now - HOUR, now + 45 * DAY)),
    ),
    Fault("leaf", "valid in two days", prepare=_dates(lambda names, now: (names, now + 2 * DAY, now + 45 * DAY))),
    Fault("leaf", "expired", _BOTH, prepare=_dates(lambda names, now: (names, now - 90 * DAY, now - DAY))),
    Fault(
        "leaf",
        "valid for an hour",
        prepare=_dates(lambda names, now: (names, now, now + HOUR)),
        lifetime=HOUR,
        age=timedelta(days=29),
        short=2,
    ),
    Fault("leaf", "valid for a day", prepare=_dates(lambda names, now: (names, now, now + DAY)), lifetime=DAY),
    Fault(
        "leaf",
        "dated back, a day left",
        prepare=_dates(lambda names, now: (names, now - 44 * DAY, now + DAY)),
        lifetime=DAY,
    ),
)
_CHAINS = (
    Fault(
        "chain",
        "an extra link",
        prepare=_chain(lambda pki, leaf: (leaf, pki.intermediate.certificate, pki.stranger)),
    ),
    Fault("chain", "a missing link", prepare=_chain(lambda pki, leaf: (leaf,))),
    Fault(
        "chain",
        "an expired link",
        prepare=_chain(lambda pki, leaf: (leaf, pki.intermediate.certificate, pki.ended_link)),
    ),
)
_WINDOWS = (
    Fault("renewal", "now", prepare=_window(_only_for_old_leaves)),
    Fault("renewal", "always now", prepare=_window(lambda leaf, now, began: (now - 2 * HOUR, now - HOUR))),
    Fault("renewal", "moves with the present", prepare=_window(lambda leaf, now, began: (now - HOUR, now + HOUR))),
    Fault("renewal", "the same end for all", prepare=_window(lambda leaf, now, began: (began - DAY, began + HOUR))),
    Fault("renewal", "start and end the same", prepare=_window(lambda leaf, now, began: (began, began))),
)
FAULTS = (*(fault for kind in REQUESTS for fault in _faults_of(kind)), *_PLACED, *_LEAVES, *_CHAINS, *_WINDOWS)


def pairs():
    """Combinations in which any two faults meet with which a leaf can be had, and each of the others with one more."""
    axes = dict.fromkeys(fault.axis for fault in FAULTS)
    passing = {axis: [fault for fault in FAULTS if fault.axis == axis and not fault.prevents] for axis in axes}
    slow = [fault for fault in FAULTS if fault.lifetime == HOUR]
    choices = [[None, *(one for one in passing[axis] if one not in slow)] for axis in axes]
    combined = [tuple(one for one in row if one is not None) for row in AllPairs(choices)]
    final = [fault for fault in FAULTS if fault.prevents]
    others = [fault for fault in FAULTS if not fault.prevents and fault not in slow]
    for number, one in enumerate(final):
        other = others[number * 7 % len(others)]
        combined.append((one, other if other.axis != one.axis else others[(number * 7 + 11) % len(others)]))
    return [row for row in combined if row]


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
