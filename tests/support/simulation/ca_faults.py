"""What a CA can do wrong: each thing alone, and in pairs."""

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

from allpairspy import AllPairs
from attrs import evolve, frozen

from certcore_puq_acme.protocol.errors import TransportError
from support.simulation.simulated_ca import Reply, problem

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
#: How long the leaf in service has been there when the CA turns hostile: of 45 days, with the renewal due at 30.
AGE = timedelta(days=20)
DAYS = 30
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
