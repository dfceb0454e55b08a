"""The state of a worker, for supervisors."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Health"]


@frozen(kw_only=True)
class Health:
    """The state of a worker."""

    #: Threads that are alive, and the expected number.
    threads: int
    wanted: int
    #: Certificates in hand.
    in_hand: int
    #: Seconds since the last successful use of the store.
    silent: float
    #: Threads that died since the start and were replaced: worker, delivery and lease threads.
    replaced: int = 0
    #: Certificates whose last step raised an unexpected error, or could not be stored.
    lost: int = 0
    #: Whether the worker was started in the parent process. After a fork, it does not run until `start` is called.
    started_in_parent: bool = False
