"""What the tests of deployments share: targets, a command that takes notes, and what is in a folder."""

import json

from certcore.contrib.deploy.files import DeployFiles
from certcore.contrib.deploy.record import LOCK, RECORD
from certcore.x509.import_bundle import read_bundle

SHELL = "/bin/sh"


def names(folder):
    """The files of a folder, without what certcore notes there."""
    return sorted(path.name for path in folder.iterdir() if path.name not in {RECORD, LOCK})


def serial(folder, environment):
    """Which leaf is there, with its own key."""
    chain, key = ((folder / name).read_text() for name in ("fullchain.pem", "privkey.pem"))
    return read_bundle(chain, key, now=environment.now()).leaf.serial_hex


def unfinished(folder):
    document = json.loads((folder / RECORD).read_text())
    return {one: sorted(claim["unfinished"]) for one, claim in document["certificates"].items()}


def web(where, **given):
    return DeployFiles(**{"name": "web", "folder": f"{where}/{{name}}", **given})
