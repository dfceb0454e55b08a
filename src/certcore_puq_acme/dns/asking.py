"""Ask the questions of one check: limited in time and number, each question only once, many at the same time.

Tenants choose the servers that are asked. A server that has not answered a few questions is not asked again in this
check. A server that has answered before is always asked, even if packets are lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from attrs import define, field, frozen

from certcore.messages import Message
from certcore_puq_acme.dns.port import NO_ANSWER, Answer, DnsPort, Question, unusable
from certcore_puq_acme.profile.settings import NameServer

__all__ = ["BRIEF", "TOO_MANY", "TOO_SLOW", "USUAL", "Asking", "QuestionBudget", "asking", "waits_within"]

#: Why a name was not checked.
TOO_SLOW: Final = Message("puq_acme.dns.too_slow", "the DNS is too slow")
#: Why a question was not asked.
TOO_MANY: Final = Message("puq_acme.dns.too_many", "the name needs too many DNS queries")
#: Seconds to wait after each sending of a question: `BRIEF` for one of several servers, `USUAL` for a server whose
#: answer is needed.
BRIEF: Final = (1.0, 2.0)
USUAL: Final = (1.0, 2.0, 2.0)
#: How many seconds the check of all names of a certificate may take in one step.
_LONGEST_CHECK: Final = 60.0
#: How many questions may be asked for one name.
_MOST_QUESTIONS: Final = 60
#: How many questions are sent within a check to a server that has never answered.
_MOST_SILENCES: Final = 3
_NAMES_AT_ONCE: Final = 16
_QUESTIONS_AT_ONCE: Final = 32
_AGAIN: Final = 2.0

_T = TypeVar("_T")
_R = TypeVar("_R")


def waits_within(seconds: float) -> tuple[float, ...]:
    """The waits between repetitions of a question: 1 second, then 2 each, not longer than ``seconds`` together."""
    waits: list[float] = []
    while (left := seconds - sum(waits)) > 0:
        waits.append(min(_AGAIN if waits else 1.0, left))
    return tuple(waits)


@define(eq=False)
class QuestionBudget:
    """How many questions may still be asked for a name."""

    left: int = _MOST_QUESTIONS

    def take(self) -> bool:
        """Whether one more question may be asked; if so, the question is counted."""
        self.left -= 1
        return self.left >= 0


@frozen
class _Key:
    server: NameServer
    question: Question


@define(eq=False)
class _Health:
    """The state of a server within a check."""

    answered: bool = False
    silences: int = 0


@define(eq=False)
class Asking:
    """The questions of one check. `asking` makes one."""

    dns: DnsPort
    monotonic: Callable[[], float]
    #: When the check ends.
    end: float
    _names: ThreadPoolExecutor
    _questions: ThreadPoolExecutor
    _lock: threading.Lock = field(factory=threading.Lock)
    _asked: dict[_Key, Future[Answer]] = field(factory=dict)
    _health: dict[NameServer, _Health] = field(factory=dict)

    def ask(
        self,
        server: NameServer,
        question: Question,
        budget: QuestionBudget | None = None,
        waits: Sequence[float] = USUAL,
    ) -> Answer:
        """The answer of a server; the answer to a question that this check has already asked is reused.

        Args:
            server: The server.
            question: The question.
            budget: The budget of the name for which the question is asked; None if the number is limited elsewhere.
            waits: Seconds to wait after each sending.
        """
        key = _Key(server, question)
        with self._lock:
            known = self._asked.get(key)
            if known is None:
                if budget is not None and not budget.take():
                    return Answer(failure=TOO_MANY)
                health = self._health.setdefault(server, _Health())
                if not health.answered and health.silences >= _MOST_SILENCES:
                    return Answer(failure=NO_ANSWER)
                future: Future[Answer] = Future()
                self._asked[key] = future
        if known is not None:
            return known.result()
        answer = self._sent(server, question, waits)
        if answer.failure == NO_ANSWER and health.answered:
            answer = self._sent(server, question, BRIEF)  # the server has answered before, so packets were lost
        with self._lock:
            health.answered |= answer.failure is None
            health.silences += answer.failure == NO_ANSWER
        future.set_result(answer)
        return answer

    def _sent(self, server: NameServer, question: Question, waits: Sequence[float]) -> Answer:
        left = self.end - self.monotonic()
        if left <= 0:
            return Answer(failure=TOO_SLOW)
        try:
            return self.dns.query(server, question, _cut(waits, left))
        except Exception as error:  # isolation: others wait for this answer, and the port may be foreign code
            return Answer(failure=unusable(type(error).__name__))

    def ask_each(
        self,
        servers: Sequence[NameServer],
        question: Question,
        budget: QuestionBudget | None = None,
        waits: Sequence[float] = USUAL,
    ) -> list[Answer]:
        """Ask several servers at the same time; the answers are in the order of the servers."""
        if len(servers) <= 1:
            return [self.ask(server, question, budget, waits) for server in servers]
        futures = [self._questions.submit(self.ask, server, question, budget, waits) for server in servers]
        return [future.result() for future in futures]

    def names(self, function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
        """Call a function for each name, several at once; the results come in the order of the items."""
        listed = list(items)
        if len(listed) <= 1:
            return [function(item) for item in listed]
        return list(self._names.map(function, listed))

    @property
    def is_over(self) -> bool:
        """Whether the time of the check is over."""
        return self.monotonic() >= self.end


@contextmanager
def asking(
    dns: DnsPort, *, seconds: float = _LONGEST_CHECK, monotonic: Callable[[], float] = time.monotonic
) -> Iterator[Asking]:
    """Begin a check with a time limit; its threads end with the block.

    Args:
        dns: Sends the questions.
        seconds: The time limit of the whole check.
        monotonic: A monotonic clock in seconds, such as `time.monotonic`.
    """
    with (
        ThreadPoolExecutor(max_workers=_NAMES_AT_ONCE, thread_name_prefix="certcore-dns-name") as names,
        ThreadPoolExecutor(max_workers=_QUESTIONS_AT_ONCE, thread_name_prefix="certcore-dns") as questions,
    ):
        yield Asking(dns=dns, monotonic=monotonic, end=monotonic() + seconds, names=names, questions=questions)


def _cut(waits: Sequence[float], left: float) -> tuple[float, ...]:
    """The waits, shortened to the time that is left."""
    cut: list[float] = []
    for wait in waits:
        if left <= 0:
            break
        cut.append(min(wait, left))
        left -= wait
    return tuple(cut)
