"""Start the example panel with everything that it needs, or stop it.

    python run.py start     on this machine only, until Ctrl-C or `stop`; then its files are removed
    python run.py stop

It runs in one process, with a Pebble as its child: DNS server, worker and web server are threads. In your panel
they are processes: `manage.py certcore_dns`, `manage.py certcore_worker`, and your web server.
"""

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django

HERE = Path(__file__).resolve().parent
STOP_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start", "stop"])
    parser.add_argument("--folder", type=Path, default=HERE / "var", help="where its files are while it runs")
    parser.add_argument("--port", type=int, default=8000, help="of the web server; 0 takes a free one")
    arguments = parser.parse_args()
    if arguments.command == "stop":
        return stop(arguments.folder.resolve())
    return start(arguments.folder.resolve(), arguments.port)


def start(folder: Path, port: int) -> int:
    """Run the panel until somebody stops it."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as started:
        if not started.enter_context(locked(folder)):
            print("The example panel runs already; stop it with: make panel-stop", file=sys.stderr)
            return 1
        os.environ["PANEL_FOLDER"] = str(folder)
        os.environ["PANEL_SECRET_KEY"] = secrets.token_urlsafe(50)
        os.environ["DJANGO_SETTINGS_MODULE"] = "panel.settings"
        sys.path.insert(0, str(HERE))
        django.setup()
        from panel.everything import start_everything  # noqa: PLC0415 - Django has to have its settings first
        from panel.seed import PASSWORD, USERS  # noqa: PLC0415 - as above

        address = start_everything(started, port)
        print(f"\nThe example panel is at {address}\n")
        for name, (description, _) in USERS.items():
            print(f"  {name:6} password {PASSWORD}   {description}")
        print(f"\nThe customers' DNS, to set a CNAME: {address}dns/")
        print("Stop it with Ctrl-C, or make panel-stop.", flush=True)
        (folder / "ready.json").write_text(json.dumps({"url": address, "pid": os.getpid()}))
        stopping.wait()
        print("Stopping …", flush=True)
    print("Stopped. Nothing is left running.")
    return 0


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Lock the folder, empty it, and remove it afterwards; yields False if a running panel has locked it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "panel.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        for left in folder.iterdir():
            if left.name != "panel.lock":
                left.unlink()
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield True
        finally:
            shutil.rmtree(folder)


def stop(folder: Path) -> int:
    """Stop the running panel, and wait until it has ended."""
    try:
        lock = (folder / "panel.lock").open()
    except FileNotFoundError:
        print("The example panel does not run.")
        return 0
    with lock:
        deadline = time.monotonic() + STOP_SECONDS
        is_asked = False
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not is_asked and (pid := lock.read()):
                    os.kill(int(pid), signal.SIGTERM)
                    is_asked = True
                time.sleep(0.1)
                continue
            print("The example panel is stopped." if is_asked else "The example panel does not run.")
            return 0
    print(f"The example panel did not stop within {STOP_SECONDS:g} seconds.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
