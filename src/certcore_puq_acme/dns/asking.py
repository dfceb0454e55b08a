"""The questions of one check: bounded in time and number, each asked once, many side by side.

Tenants choose the servers that are asked. A server that never answers is not asked again in this check after a few
questions; a server that has answered before is always asked, even if packets are lost.
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
#: Seconds to wait after each sending (of a question to one of several servers, and to one that has to answer).
BRIEF: Final = (1.0, 2.0)
USUAL: Final = (1.0, 2.0, 2.0)
#: Seconds for all names of a certificate in one step.
_LONGEST_CHECK: Final = 60.0
#: How many questions one name may cost.
_MOST_QUESTIONS: Final = 60
#: A server that has never answered is asked so many questions within a check.
_MOST_SILENCES: Final = 3
_NAMES_AT_ONCE: Final = 16
_QUESTIONS_AT_ONCE: Final = 32
_AGAIN: Final = 2.0

_T = TypeVar("_T")
_R = TypeVar("_R")


def waits_within(seconds: float) -> tuple[float, ...]:
    """When a question is sent again: after 1 second, then every 2; the last wait ends within so many seconds."""
    waits: list[float] = []
    while (left := seconds - sum(waits)) > 0:
        waits.append(min(_AGAIN if waits else 1.0, left))
    return tuple(waits)


@define(eq=False)
class QuestionBudget:
    """How many questions a name may still cost."""

    left: int = _MOST_QUESTIONS

    def take(self) -> bool:
        """Whether one more may be asked; it is counted."""
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
        """The answer of a server; a question that was asked within this check is not asked again.

        Args:
            server: The server.
            question: The question.
            budget: The budget of the name that it is asked for; None where the number is bounded otherwise.
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
            answer = self._sent(server, question, BRIEF)  # the server is there: packets were lost
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
        """The answers of several servers, asked at once, in their order."""
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
    """The questions of one check, which ends after so many seconds.

    Args:
        dns: Sends the questions.
        seconds: For the whole check.
        monotonic: Seconds from any start, never backwards.
    """
    with (
        ThreadPoolExecutor(max_workers=_NAMES_AT_ONCE, thread_name_prefix="certcore-dns-name") as names,
        ThreadPoolExecutor(max_workers=_QUESTIONS_AT_ONCE, thread_name_prefix="certcore-dns") as questions,
    ):
        yield Asking(dns=dns, monotonic=monotonic, end=monotonic() + seconds, names=names, questions=questions)


def _cut(waits: Sequence[float], left: float) -> tuple[float, ...]:
    """The waits, no longer than what is left of the time."""
    cut: list[float] = []
    for wait in waits:
        if left <= 0:
            break
        cut.append(min(wait, left))
        left -= wait
    return tuple(cut)
