"""The real command in a process of its own, on a store that the tests of one file share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from certcore.cli.app import app
from certcore.serialization import json_schema
from support.forked import run

#: Seconds after which a command that should be done counts as hung.
PATIENCE = 240


class Command:
    """Runs ``certcore`` with a store, a home and a folder for temporary files below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "store" / "certcore.db"
        self.keyring = folder / "store" / "keyring.json"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.env = {
            **os.environ,
            "CERTCORE_DATABASE_URL": str(self.database),
            "CERTCORE_KEYRING": str(self.keyring),
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "TMPDIR": str(self.temporary),
            "PYTHONWARNINGS": "default",
        }
        for name in ("CERTCORE_DEBUG", "FORCE_COLOR"):
            self.env.pop(name, None)

    def __call__(self, *arguments, env=None, expect=0):
        """Run to the end; the exit code must be the expected one."""
        done = run([*map(str, arguments)], env=self.env | (env or {}), cwd=self.folder, timeout=PATIENCE)
        assert done.returncode == expect, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def inside(self, *arguments, expect=0):
        """The same in this process: ten times as fast, for the many small cases."""
        env = {name: self.env[name] for name in ("CERTCORE_DATABASE_URL", "CERTCORE_KEYRING", "XDG_DATA_HOME")}
        done = CliRunner().invoke(app, [*map(str, arguments)], env=env)
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        assert done.exit_code == expect, f"exit code {done.exit_code}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments, expect=0):
        """Run inside with --json: stdout holds exactly one JSON document, which is returned.

        One that names its schema has to fit it.
        """
        document = json.loads(self.inside(*arguments, "--json", expect=expect).stdout)
        if "schema" in document:
            Draft202012Validator(json_schema(document["schema"].split(":")[3])).validate(document)
        return document

    def start(self, *arguments, prelude=""):
        """Start one that goes on; `prelude` is Python that runs first in its process."""
        code = f"{prelude}\nimport runpy; runpy.run_module('certcore', run_name='__main__', alter_sys=True)"
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def certcore(tmp_path_factory):
    """The command on a store of this file's own, not created yet."""
    return Command(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def store(certcore):
    """The same with a store, and a CA profile ``dead`` whose CA does not answer."""
    certcore("init")
    certcore(
        *("authority", "add", "dead", "--module", "puq_acme", "--set", "ca=custom", "--set", "terms_agreed=yes"),
        *("--set", "directory_url=https://127.0.0.1:1/dir", "--set", "tech_zone=acme.panel.test"),
        *("--set", "dns_servers=127.0.0.1:1", "--set", "api_timeout=1"),
    )
    return certcore
