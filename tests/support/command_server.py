"""A ``certcore`` for shell scripts of tests: each call is a process, forked from one in which the imports are done.

The commands of a page are twenty processes, each of which would spend most of a second on imports. The command that
`commands_of` makes is a short program: it hands its arguments, folder, variables and streams to the server, passes
signals on, and ends as the forked process does.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path

#: What nearly every command imports; Typer loads pydantic for the first one that is called.
PRELOADED = (
    "certcore.cli.app",
    "certcore.adapters.sql.storage",
    "certcore_puq_acme.module",
    "certcore_puq_acme.orders.advance",
    "rich.console",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "pydantic.fields",
    "typer.testing",
)
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_CLIENT = """\
#!{python} -IS
import array, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
    server.sendmsg([len(call).to_bytes(4, "big")], [streams])
    server.sendall(call)
    with server.makefile() as answers:
        process = int(answers.readline())
        for number in {signals}:
            signal.signal(number, lambda number, frame: os.kill(process, number))
        code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextlib.contextmanager
def commands_of(python, folder, variables):
    """Start a server with an interpreter and make the command; yields its folder, for PATH.

    Args:
        python: The interpreter, which has certcore and the plugins already.
        folder: A new folder for the command and the socket.
        variables: Of the server; each command has those of its caller.
    """
    folder.mkdir()
    address, command = folder / "socket", folder / "certcore"
    command.write_text(
        _CLIENT.format(python=sys.executable, address=str(address), signals=[int(number) for number in _SIGNALS])
    )
    command.chmod(0o755)
    start = [python, __file__, address]
    with subprocess.Popen(start, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            yield folder
        finally:
            server.terminate()


def _serve(address):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        for name in PRELOADED:
            with contextlib.suppress(ImportError):  # older versions have other parts
                importlib.import_module(name)
        gc.freeze()  # a collection in a child would copy every page
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(connection)
            connection.close()


def _answer(connection):
    """Run one command in a child process and tell its exit code; ends this process, or the child as the command."""
    descriptors = array.array("i", [0, 0, 0])
    size, ((_, _, received),), _, _ = connection.recvmsg(4, socket.CMSG_SPACE(descriptors.itemsize * 3))
    descriptors = array.array("i", received)
    with connection.makefile("rb") as read:
        arguments, folder, variables = json.loads(read.read(int.from_bytes(size, "big")))
    process = os.fork()
    if process == 0:
        connection.close()
        _become(arguments, folder, variables, descriptors)
        try:
            runpy.run_module("certcore", run_name="__main__", alter_sys=True)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    for descriptor in descriptors:
        os.close(descriptor)
    with contextlib.suppress(OSError):  # the caller was killed
        connection.sendall(f"{process}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(f"{code}\n".encode())
    os._exit(0)


def _become(arguments, folder, variables, descriptors):
    """Take the arguments, the folder, the variables and the streams of the caller."""
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", closefd=False) for number, mode in enumerate("rww")
    )
    sys.argv = ["certcore", *arguments]
    sys.path[0] = folder
    warnings.simplefilter("default")


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    _serve(sys.argv[1])
