"""The command in processes of its own that are forked from one in which it is loaded already: no second of imports."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "certcore.cli.app",
        "certcore.adapters.sql.storage",
        "certcore_puq_acme.module",
        "certcore_puq_acme.orders.advance",
        "rich.console",
    ]
)


def run(arguments, *, env, cwd, timeout):
    """Run ``certcore`` to its end, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory(prefix="certcore-forked-") as folder:
        streams = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(target=_certcore, args=(arguments, env, str(cwd), streams))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        stdout, stderr = (Path(stream).read_text(encoding="utf-8") for stream in streams)
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _certcore(arguments, env, cwd, streams):
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
    warnings.simplefilter("default")
    tempfile.tempdir = None
    sys.argv = ["certcore", *arguments]
    try:
        runpy.run_module("certcore", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
