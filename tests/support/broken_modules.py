"""CA modules that do what they must not: for tests of the one way into a plugin."""

import asyncio
import sys
import threading
import warnings
from datetime import datetime, timedelta, timezone, tzinfo
from io import StringIO

from attrs import evolve

from certcore.adapters.plugins.module_checks import METHODS
from certcore.errors import CertCoreError, LeaseLostError, NotFoundError, StorageError
from certcore.model.hints import Level, Message, Notice
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import CheckReport, Failed, Issued, Waiting, WaitingFor
from certcore.ports.module_actions import ActionDone, CertificateAction
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedRenewalCA

NOW = FrozenEnvironment().now()
SECRET = "canary-api-key"


class Wild(ScriptedRenewalCA):
    """A module whose every method can be replaced: `wild` has what is called instead, by the method's name."""

    name = "wild"

    def __init__(self):
        super().__init__([Act.ISSUE], now=NOW)
        self.wild = {}

    def check(self, context):
        """All is well."""
        return CheckReport(items=())

    def certificate_deleted(self, certificate, context):
        """Nothing is left."""

    def diagnose(self, names, context, *, thorough):
        """Nothing is found."""
        return ()

    def certificate_actions(self, view, context):
        """One that greets."""
        text = Message("wild.greet", "Greet")
        return [CertificateAction(name="greet", label=text, help=text)]

    def run_certificate_action(self, name, values, work, *, actor):
        """Greet."""
        return ActionDone(text=Message("wild.greeted", "Hello."))

    def budgets(self, context):
        """None."""
        return ()

    def profile_files(self, context):
        """None."""
        return ()

    def certificate_files(self, view, context):
        """None."""
        return ()

    def dns_server(self, **given):
        """It has none."""


def _replaceable(name):
    original = getattr(Wild, name)

    def method(self, *given, **named):
        return self.wild[name](*given, **named) if name in self.wild else original(self, *given, **named)

    return method


for _name in METHODS:
    setattr(Wild, _name, _replaceable(_name))


class UnprintableError(Exception):
    """Its texts raise."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class HalfMadeError(CertCoreError):
    """Looks like an error for people, and has no message."""

    def __init__(self):
        pass


class OwnBaseError(BaseException):
    """Not an Exception."""


class StrangeZone(tzinfo):
    """A time zone that fails when it is asked."""

    def utcoffset(self, when):
        raise RuntimeError("no offset")


class MovingWaiting(Waiting):
    """Computes what a step says when it is asked."""

    def __getattribute__(self, name):
        if name == "state":
            raise RuntimeError("no state")
        return super().__getattribute__(name)


class Liar:
    """Says that it is a step."""

    __class__ = Waiting


class Rude:  # noqa: PLW1641 - it has a __hash__ that raises
    """Raises whatever is done with it."""

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = __repr__ = __str__ = __iter__ = __len__ = __bool__ = __getattr__ = __eq__


def raising(error):
    """A function that raises."""

    def function(*given, **named):
        raise error

    return function


def returning(value):
    """A function that returns."""

    def function(*given, **named):
        return value

    return function


def waiting(**changed):
    """A step that is right but for what is said."""
    return evolve(Waiting(state={}, look_again=NOW, waiting_for=WaitingFor.OWNER), **changed)


async def _coroutine(*given, **named):
    return waiting()


async def _async_generator(*given, **named):
    yield waiting()


def _generator(*given, **named):
    yield waiting()


def _endless(*given, **named):
    while True:
        yield Notice(Level.INFO, Message("wild", "again"))


def _recursion(*given, **named):
    return _recursion(*given, **named)


def _warning(*given, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def _thread_dies(*given, **named):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    sys.exit(3)


def _closes_output(*given, **named):
    before, sys.stdout = sys.stdout, StringIO()
    sys.stdout.close()
    try:
        sys.stdout.write("lost")
    finally:
        sys.stdout = before


def _deep():
    value = {}
    for _ in range(5000):
        value = {"more": value}
    return value


def _changes_work(work):
    work.issuance.module_state["mine"].clear()
    raise RuntimeError("after it has changed its state")


MOVING = MovingWaiting(state={}, look_again=NOW, waiting_for=WaitingFor.OWNER)
MANY = Problem(title="x", subproblems=(Problem(title="y"),) * 2000)

#: What any method may do, whatever it is for: by a name, with the words that tell of it.
ANYWHERE = {
    "SystemExit": (raising(SystemExit(3)), "raised SystemExit"),
    "KeyboardInterrupt in a thread": (raising(KeyboardInterrupt()), "raised KeyboardInterrupt"),
    "GeneratorExit": (raising(GeneratorExit()), "raised GeneratorExit"),
    "CancelledError": (raising(asyncio.CancelledError()), "raised CancelledError"),
    "StopIteration": (raising(StopIteration()), "raised StopIteration"),
    "MemoryError": (raising(MemoryError()), "raised MemoryError"),
    "ExceptionGroup": (raising(BaseExceptionGroup("two", [SystemExit(), ValueError()])), "raised BaseExceptionGroup"),
    "an exception without text": (raising(UnprintableError()), "raised UnprintableError"),
    "an exception of its own": (raising(OwnBaseError()), "raised OwnBaseError"),
    "half of a CertCoreError": (raising(HalfMadeError()), "raised HalfMadeError"),
    "text that cannot be stored": (raising(CertCoreError("\ud800")), "raised CertCoreError"),
    "a lease that is not lost": (raising(LeaseLostError("x")), "raised LeaseLostError"),
    "a store that did not fail": (raising(StorageError("x")), "raised StorageError"),
    "recursion": (_recursion, "raised RecursionError"),
    "a warning": (_warning, "raised DeprecationWarning"),
    "an exit after a thread": (_thread_dies, "raised SystemExit"),
    "closed output": (_closes_output, "raised ValueError"),
    "a coroutine": (_coroutine, "it returned a coroutine"),
    "an asynchronous generator": (_async_generator, "it returned an async_generator"),
    "a text": (returning("done"), "it returned a str"),
    "a number": (returning(1), "it returned an int"),
    "something rude": (returning(Rude()), "failed in"),
}

#: What `advance` alone may do.
STEPS = {
    "a generator": (_generator, "it returned a generator"),
    "None": (returning(None), "it returned a None, which is not a step"),
    "a tuple": (returning((waiting(),)), "it returned a tuple"),
    "a liar": (returning(Liar()), "it returned a Liar"),
    "a state of 20 MB": (returning(waiting(state={"all": "x" * 20_000_000})), "whose state has 20000011 bytes"),
    "findings of 20 MB": (returning(waiting(findings={"all": "x" * 20_000_000})), "whose findings has"),
    "a secret in the state": (returning(waiting(state={"key": f"Bearer {SECRET}"})), "holds a secret"),
    "a private key in the state": (returning(waiting(state={"k": "-----BEGIN PRIVATE KEY-----"})), "a private key"),
    "a secret in the findings": (returning(waiting(findings={"key": [SECRET]})), "holds a secret"),
    "a state of objects": (returning(waiting(state={"at": NOW})), "not plain JSON"),
    "a state that raises": (returning(waiting(state=Rude())), "raised RuntimeError"),
    "a state without an end": (returning(waiting(state=_deep())), "not plain JSON"),
    "keys that are no text": (returning(waiting(state={(1, 2): 3})), "not plain JSON"),
    "a naive moment": (returning(waiting(look_again=datetime(2030, 1, 1))), "without a time zone"),  # noqa: DTZ001
    "no moment": (returning(waiting(look_again=None)), "a moment belongs"),
    "a strange time zone": (
        returning(waiting(look_again=datetime(2030, 1, 1, tzinfo=StrangeZone()))),
        "raised RuntimeError",
    ),
    "a moment before the calendar": (
        lambda work: waiting(look_again=datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))),
        "outside of the calendar",
    ),
    "a step that computes": (
        returning(MOVING),
        "raised",
    ),
    "a chain of bytes": (returning(Issued(state={}, chain_pem=b"-----BEGIN")), "whose chain_pem is a bytes"),
    "a problem without end": (
        returning(Failed(state={}, problem=MANY, retry=Retry.SOON)),
        "more than 1000 items",
    ),
    "a problem of text": (returning(Failed(state={}, problem="No.", retry=Retry.SOON)), "Problem belongs"),
    "a change of its input": (_changes_work, "raised"),
    "an object that is not there": (raising(NotFoundError("account", "x")), "There is no account 'x'."),
}

#: What methods that return hints alone may do.
HINTS = {
    "texts": (returning(["look here"]), "item 1 is a str"),
    "a million": (lambda *given: (Notice(Level.INFO, Message("wild", "again")) for _ in range(1_000_000)), "more than"),
    "without an end": (_endless, "more than 1000 items"),
    "a huge one": (returning([Notice(Level.INFO, Message("wild", "x" * 1_000_000))]), "characters are allowed"),
    "a text for a message": (returning([Notice(Level.INFO, "text")]), "where Message belongs"),
    "a level of its own": (returning([Notice("loud", Message("wild", "text"))]), "where Level belongs"),
    "a message that lacks a parameter": (
        returning([Notice(Level.INFO, Message("w", "{a} {b}", {"a": 1}))]),
        "filled in",
    ),
    "a parameter that raises": (returning([Notice(Level.INFO, Message("w", "{a}", {"a": Rude()}))]), "raised"),
    "None": (returning(None), "it returned a None"),
}
