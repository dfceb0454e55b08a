"""One look at the DNS for all viewers of a page."""

import threading
from datetime import UTC, datetime, timedelta

from certcore_puq_acme.hints.recent_looks import RecentLooks

_NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_look_counts_for_a_minute():
    """Within it nobody looks again; afterwards, for something else, or when the clock was put back, somebody does."""
    looks, made = RecentLooks(), []

    def look():
        made.append(len(made))
        return made[-1]

    assert [looks.get("a", _NOW + timedelta(seconds=second), look) for second in (0, 20, 59, 60, 119)] == [
        0,
        0,
        0,
        1,
        1,
    ]
    assert looks.get("b", _NOW, look) == 2
    assert looks.get("a", _NOW, look) == 3


def test_it_does_not_grow_and_threads_share_it():
    """Five hundred looks are kept, the latest ones; a slow look keeps nobody from another one."""
    looks = RecentLooks()
    slow, goes_on = threading.Event(), threading.Event()

    def wait():
        slow.set()
        assert goes_on.wait(60)
        return "slow"

    thread = threading.Thread(target=looks.get, args=("slow", _NOW, wait))
    thread.start()
    assert slow.wait(60)
    for number in range(600):
        assert looks.get(number, _NOW, lambda number=number: number) == number
    goes_on.set()
    thread.join(60)
    assert looks.get(599, _NOW, lambda: "again") == 599
    assert looks.get(0, _NOW, lambda: "again") == "again"


def test_a_child_process_begins_without_any():
    """A lock that another thread held at the fork must not be waited for."""
    looks = RecentLooks()
    looks.get("a", _NOW, lambda: "parent")
    looks.after_fork()
    assert looks.get("a", _NOW, lambda: "child") == "child"
