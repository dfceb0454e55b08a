"""How a worker is: what a supervisor looks at."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Health"]


@frozen(kw_only=True)
class Health:
    """How a worker is."""

    #: Threads that are alive, and how many there should be.
    threads: int
    wanted: int
    #: Certificates in hand.
    in_hand: int
    #: Seconds since the store last did what the worker asked of it.
    silent: float
    #: Threads that died since the start and were replaced: those that take steps, tell observers, or renew leases.
    replaced: int = 0
    #: Certificates whose last step here was lost: it raised what nobody expected, or its outcome could not be stored.
    lost: int = 0
    #: Whether it was started in a process of which this one is a fork: here it does not run until `start`.
    started_in_parent: bool = False
