"""The command in processes of its own that are forked from one in which it is loaded already: no second of imports."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from support.command_server import PRELOADED

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*PRELOADED])


def run(arguments, *, env, cwd, timeout):
    """Run ``certcore`` to its end, as `subprocess.run` would."""
    return _run(_certcore, arguments, env=env, cwd=cwd, timeout=timeout)


def run_script(script, *arguments, env, cwd, timeout):
    """Run a script to its end, as ``python -W error`` would; the parts of certcore that are loaded already stay so.

    So a script that uses a part as an attribute, without an import of it, is no script for this.
    """
    return _run(_script, [str(script), *arguments], env=env, cwd=cwd, timeout=timeout)


def _run(target, arguments, *, env, cwd, timeout):
    with tempfile.TemporaryDirectory(prefix="certcore-forked-") as folder:
        streams = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(target=target, args=(arguments, env, str(cwd), streams))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        stdout, stderr = (Path(stream).read_text(encoding="utf-8") for stream in streams)
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _certcore(arguments, env, cwd, streams):
    _become(arguments, env, cwd, streams)
    warnings.simplefilter("default")
    sys.argv = ["certcore", *arguments]
    _until_the_end(lambda: runpy.run_module("certcore", run_name="__main__", alter_sys=True))


def _script(arguments, env, cwd, streams):
    _become(arguments, env, cwd, streams)
    warnings.simplefilter("error")
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).parent)
    _until_the_end(lambda: runpy.run_path(arguments[0], run_name="__main__"))


def _until_the_end(work):
    try:
        work()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _become(arguments, env, cwd, streams):
    """Take the variables, the folder, the streams and the module path that a new process would have."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, path in enumerate([os.devnull, *streams]):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", closefd=False) for number, mode in enumerate("rww")
    )
    sys.path[:0] = [str(cwd), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    tempfile.tempdir = None
