"""Real forks for tests: each child runs a function and sends what it returns, or raised, to its parent."""

import contextlib
import faulthandler
import os
import pickle
import select
import signal
import threading
import time
import traceback

from attrs import frozen

#: Seconds after which a child that hangs is ended by the system.
PATIENCE = 20


@frozen
class Child:
    pid: int
    pipe: int

    def result(self):
        """What the child's function returned; an error when it raised, hung or died."""
        received, deadline = b"", time.monotonic() + PATIENCE + 10
        with os.fdopen(self.pipe, "rb", buffering=0) as pipe:
            while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                if not (data := pipe.read(65536)):
                    break
                received += data
            if time.monotonic() >= deadline:
                os.kill(self.pid, signal.SIGKILL)  # it hangs, perhaps before it could begin
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"the child ended with {status}: it hung, or died"
        kind, value = pickle.loads(received)
        assert kind == "returned", value
        return value


def fork(function, *arguments):
    """Start a child that runs a function."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, file=2, chain=True)  # says where it hangs, before the system ends it
    signal.alarm(PATIENCE)
    try:
        try:
            message = ("returned", function(*arguments))
        except BaseException:
            message = ("raised", traceback.format_exc())
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(message))
    finally:
        os._exit(0)


@contextlib.contextmanager
def busy(job, threads=4):
    """Threads that do a job again and again until the block ends; gives how often it was done, and what it raised."""
    stop, done, errors = threading.Event(), [], []

    def work(number):
        while not stop.is_set():
            try:
                job(number)
                done.append(number)
            except Exception as error:
                errors.append(error)

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    try:
        while len(done) < threads:
            time.sleep(0.001)
        yield done, errors
    finally:
        stop.set()
        for thread in running:
            thread.join(60)
