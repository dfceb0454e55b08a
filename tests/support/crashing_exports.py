"""A program that writes exports in copies of itself, which are killed on the way."""

import errno
import json
import os
import signal
import sys
from pathlib import Path

from certcore.errors import CertCoreError
from support.export_writing import SOURCES, of_layout
from support.killed_copies import was_killed, write_answer

AUDITED = {f"os.{name}" for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink")}


def crashing():
    """Carry out orders from stdin in forked copies, and answer how each ended.

    An order names a layout, a folder and an export. With a ``point`` the copy kills itself at that C call of the
    writer's modules; with ``broken`` its file system cannot be changed from the change of that number on; with a
    ``user`` it becomes that user first.
    """
    for line in sys.stdin:
        order = json.loads(line)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            os.write(write_end, _carry_out(**order).encode())
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as answers:
            said = answers.read()
        _, status = os.waitpid(child, 0)
        write_answer(killed=was_killed(status), said=said)


def _carry_out(layout, folder, number, point=0, broken=0, user=None):
    reached = 0

    def refuse(event, arguments):
        nonlocal reached
        if event in AUDITED or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            reached += 1
            if reached >= broken:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def watch(frame, event, _):
        nonlocal reached
        if event == "c_call" and frame.f_code.co_filename in SOURCES:
            reached += 1
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

    os.umask(0)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if broken:
        sys.addaudithook(refuse)
    if point:
        sys.setprofile(watch)
    try:
        of_layout(layout)(Path(folder), number)
    except CertCoreError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    crashing()
