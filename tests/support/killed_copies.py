"""Processes that carry out orders in forked copies of themselves, which may be killed on the way.

The orders come on stdin, one JSON document a line; each is answered on stdout with how its copy ended.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from attrs import frozen

import certcore

_ROOTS = (Path(certcore.__file__).parents[1], Path(__file__).parents[1])


def serve_orders(carry_out):
    """Carry out orders until stdin ends; what the function returns is the exit code of the copy."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(carry_out(**json.loads(line)))
        _, status = os.waitpid(child, 0)
        killed = was_killed(status)
        answer = {"killed": killed, "exit": None if killed else os.waitstatus_to_exitcode(status)}
        write_answer(**answer)


def was_killed(status):
    """Whether SIGKILL ended a process."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def write_answer(**answer):
    """Answer the order."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


@frozen
class Orders:
    """The other end: calling it hands in an order, and waits for its answer."""

    process: subprocess.Popen

    def __call__(self, **order):
        self.hand_in(**order)
        return self.answer()

    def hand_in(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())


@contextlib.contextmanager
def orders_to(module):
    """Start a process that runs a module of tests/support, and end it with the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _ROOTS))}
    with subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Orders(process)
        finally:
            process.stdin.close()
            process.wait(120)
