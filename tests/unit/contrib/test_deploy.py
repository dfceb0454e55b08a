"""Deploying: the right files to the right place, the command until it has succeeded, and never another's folder.

Run as a program it deploys in copies of itself that are killed on the way.
"""

import fcntl
import json
import logging
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from certcore import CertCore, Status
from certcore.contrib import deploy as deploy_module
from certcore.contrib import deploy_command as command_module
from certcore.contrib import deploy_record as record_module
from certcore.contrib.deploy import DeployFiles, DeploymentFailed
from certcore.contrib.deploy_command import run_command
from certcore.contrib.deploy_record import LOCK, RECORD
from certcore.errors import AccessDenied, InvalidInput, NotFound
from certcore.model.export import ExportedFile, ExportFormat, Use
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.authority import LittleAuthority
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.ports import free_port
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.bundle import read_bundle
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem

SHELL = "/bin/sh"
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
#: The modules between whose steps a process is killed.
WATCHED = {module.__file__ for module in (deploy_module, command_module, record_module)}
#: More steps than a deployment has.
MOST = 400
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


@pytest.fixture
def folder(tmp_path):
    """Where the files go; not there yet."""
    return tmp_path / "ssl"


@pytest.fixture
def script(tmp_path):
    """Makes a command of lines of shell; what it notes with `note` is read by `noted`."""
    notes = tmp_path / "notes"

    def make(*lines):
        path = tmp_path / "command.sh"
        path.write_text("\n".join((f'note() {{ echo "$@" >> "{notes}"; }}', *lines)) + "\n")
        return (SHELL, str(path))

    make.noted = lambda: notes.read_text().splitlines() if notes.exists() else []
    return make


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


# ------------------------------------------------------------------------------------------------------------- files


def test_the_leaf_in_service_is_deployed(open_place, folder):
    """Chain and key of one another, the key for its owner alone, and on the record who took it out and why."""
    place = open_place(web(folder))
    one = place.issued("shop.example", wildcard=True)
    place.deliver()
    assert place.reason(one, "web") is None
    there = folder / "shop.example"
    assert names(there) == ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"]
    assert serial(there, place.environment) == place.core.certificates.view(one).leaf.serial_hex
    assert stat.S_IMODE((there / "privkey.pem").stat().st_mode) == 0o600
    assert {stat.S_IMODE((there / name).stat().st_mode) for name in (RECORD, LOCK)} == {0o600}
    assert place.reveals(one) == [("plugin:web", "deployed by web")]


def test_a_renewal_is_deployed_as_a_version(open_place, folder, script):
    """The link changes to the new leaf, the files name their place, and the one before stays beside it."""
    target = web(folder, layout="versioned", format="nginx", command=script('note "$CERTCORE_FOLDER"'))
    place = open_place(target)
    one = place.issued()
    place.deliver()
    live = folder / "shop.example" / "live"
    first = serial(live, place.environment)
    place.renewed(one)
    place.deliver()
    assert first != serial(live, place.environment) == place.core.certificates.view(one).leaf.serial_hex
    assert f"{live}/privkey.pem" in (live / "nginx-ssl.conf").read_text()
    assert len(list((folder / "shop.example" / "versions").iterdir())) == 2
    assert script.noted() == [str(live)] * 2


def test_what_is_deployed_is_the_newest(open_place, folder, script):
    """An event that is told late brings the leaf that is in service by then, and its own event brings nothing more."""
    target = web(folder, command=script("note ran"))
    place = open_place(target)
    one = place.issued()
    place.renewed(one)
    place.deliver()
    assert len([event for event in place.core.certificates.timeline(one) if event.kind == "installed"]) == 2
    assert serial(folder / "shop.example", place.environment) == place.core.certificates.view(one).leaf.serial_hex
    assert script.noted() == ["ran"]


def test_an_event_that_comes_twice_changes_nothing(open_place, folder, script):
    """The files stay the same files, and the command is not run again; what somebody changed is put right."""
    target = web(folder, command=script("note ran"))
    place = open_place(target)
    one = place.issued()
    place.deliver()
    key = folder / "shop.example" / "privkey.pem"
    before = key.stat()
    target.certcore_on_event(place.event(one), place.core.certificates)
    assert (key.stat().st_ino, key.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert script.noted() == ["ran"]
    key.unlink()
    target.certcore_on_event(place.event(one), place.core.certificates)
    assert key.exists()
    assert script.noted() == ["ran", "ran"]
    assert unfinished(folder / "shop.example") == {one: []}


def test_other_events_are_none_of_its_business(open_place, folder):
    """Only after a leaf went into service there is something to deploy."""
    target = web(folder)
    place = open_place(target)
    one = place.issued()
    for event in place.core.certificates.timeline(one):
        if event.kind != "installed":
            target.certcore_on_event(event, place.core.certificates)
    assert not folder.exists()


def test_there_may_be_nothing_to_deploy_any_more(open_place, folder):
    """A certificate that is revoked or gone meanwhile, or that is a draft: no files, and no error."""
    target = web(folder)
    place = open_place(target)
    revoked, gone, draft = place.issued(), place.issued("gone.example"), place.issued("draft.example")
    events = [place.event(one) for one in (revoked, gone, draft)]
    place.core.certificates.revoke(revoked)
    place.core.certificates.delete(gone)
    other = place.core.certificates.create("other.example", authority=place.authority.id).id
    events.append(evolve(events[0], certificate_id=other))
    for event in events[:2] + events[3:]:
        target.certcore_on_event(event, place.core.certificates)
    assert not folder.exists()
    assert place.reveals(revoked) == []


def test_a_certificate_that_goes_while_it_is_deployed(open_place, folder):
    """Deleted between the look at it and the taking out of its key: nothing is there, and no error."""
    target = web(folder)
    place = open_place(target)
    one = place.issued()

    class Vanishing:
        view = staticmethod(place.core.certificates.view)

        def material(self, certificate_id, **_):
            raise NotFound("certificate", certificate_id)

    target.certcore_on_event(place.event(one), Vanishing())
    assert names(folder / "shop.example") == []


def test_what_changes_while_it_is_deployed(open_place, folder):
    """Between the looks at it, it was revoked, or got another leaf with another name: nothing is written."""
    target = web(folder)
    place = open_place()
    one, other = place.issued(), place.issued("other.example")
    event, core = place.event(one), place.core
    view, of_other = core.certificates.view(one), core.certificates.view(other)
    revoked = evolve(view, certificate=evolve(view.certificate, status=Status.REVOKED))
    renamed = evolve(view, certificate=of_other.certificate, active=of_other.active)

    class Changing:
        def __init__(self, *views):
            self.views = list(views)

        def view(self, certificate_id, **_):
            return self.views.pop(0)

        def material(self, certificate_id, **_):
            return core.certificates.material(other, reason="a test")

    target.certcore_on_event(event, Changing(view, revoked))
    for views in ((view, renamed), (view, view)):
        with pytest.raises(DeploymentFailed, match="another primary name"):
            target.certcore_on_event(event, Changing(*views))
    assert names(folder / "shop.example") == []


def test_whose_folder_it_is_may_be_a_secret(open_place, folder):
    """A policy that lets a target see no other certificate: that one counts as there, and its files stay."""
    target = web(folder)
    place = open_place(target)
    first = place.issued(owner="anna")
    place.deliver()
    second = place.issued(owner="anna")

    class Discreet:
        material = staticmethod(place.core.certificates.material)

        def view(self, certificate_id, *, actor):
            if certificate_id == first:
                raise AccessDenied(actor, "certificate.view", certificate_id)
            return place.core.certificates.view(certificate_id, actor=actor)

    before = serial(folder / "shop.example", place.environment)
    with pytest.raises(DeploymentFailed, match="another certificate"):
        target.certcore_on_event(place.event(second), Discreet())
    assert serial(folder / "shop.example", place.environment) == before


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {"shop.example", "www.shop.example", "other.example"}),
        ({"domains": ["SHOP.example"]}, {"shop.example"}),
        ({"domains": [".shop.example"]}, {"www.shop.example"}),
        ({"domains": ".example"}, {"shop.example", "www.shop.example", "other.example"}),
        ({"domains": ["op.example", ".hop.example"]}, set()),
        ({"owners": ["anna"]}, {"shop.example", "other.example"}),
        ({"owners": ["anna"], "domains": [".shop.example"]}, set()),
        ({"authorities": ["test"]}, {"shop.example", "www.shop.example"}),
        ({"authorities": ["nobody"]}, set()),
    ],
)
def test_only_what_was_selected_is_deployed(open_place, folder, given, found):
    """By primary name, by owner, by CA profile; whoever gives several wants all of them to hold."""
    place = open_place(web(folder, **given))
    second = place.core.authorities.create("second", module="scripted").id
    ids = [place.issued("shop.example", owner="anna"), place.issued("www.shop.example", owner="bert")]
    ids.append(place.issued("other.example", owner="anna", authority=second, aliases=["www.shop.example"]))
    place.deliver()
    assert {path.name for path in folder.glob("*")} == found
    assert [one for one in ids if place.reason(one, "web")] == []
    revealed = {place.core.certificates.get(one).domain.ascii for one in ids if place.reveals(one)}
    assert revealed == found


def test_a_wildcards_folder(open_place, folder):
    """Its name is a file's name, and it is selected by the name below the asterisk."""
    place = open_place(web(folder, domains=["shop.example"], folder=f"{folder}/{{id}}/{{name}}"))
    one = place.issued("*.shop.example")
    place.deliver()
    assert names(folder / one / "_wildcard.shop.example")


def test_an_imported_certificate(open_place, folder):
    """It is deployed as it comes in, and its renewal to the same place, whatever the order of the names in its leaf."""
    place = open_place(
        web(folder, imports=True),
        web(folder / "ha", imports=True, name="ha", format="haproxy", folder=str(folder / "ha")),
    )
    key, now = generate_key(KeyType.EC_P256), place.environment.now()
    names_of_leaf = [DnsName("*.shop.example"), DnsName("shop.example")]
    chain = LittleAuthority(now).issue(build_csr(key, names_of_leaf, Subject()).decode(), now=now)
    one = place.core.certificates.import_certificate(chain, private_key_pem(key)).id
    place.deliver()
    assert [place.reason(one, target) for target in ("web", "ha")] == [None, None]
    there = folder / "shop.example"
    first = serial(there, place.environment)
    place.core.certificates.edit(one, authority=place.authority.id)
    place.renewed(one)
    place.deliver()
    assert (
        first != serial(folder / "shop.example", place.environment) == place.core.certificates.view(one).leaf.serial_hex
    )
    assert names(folder) == ["ha", "shop.example"]
    assert names(folder / "ha") == ["shop.example.pem"]


def test_a_key_that_is_not_here(open_place, folder):
    """A leaf without it is no use to a server: the reason says so; who wants the chain alone says so."""
    place = open_place(web(folder, imports=True), web(folder / "public", imports=True, name="public", with_key=False))
    key, now = generate_key(KeyType.EC_P256), place.environment.now()
    chain = LittleAuthority(now).issue(build_csr(key, [DnsName("shop.example")], Subject()).decode(), now=now)
    one = place.core.certificates.import_certificate(chain).id
    place.deliver()
    assert "private key" in place.reason(one, "web")
    assert place.reason(one, "public") is None
    assert names(folder / "shop.example") == []
    assert "fullchain.pem" in names(folder / "public" / "shop.example")


def test_a_reissue_with_another_name(open_place, folder):
    """Until it is in service the old leaf keeps its place; then the new one has a place of its own name."""
    target = web(folder)
    place = open_place(target)
    one = place.issued("shop.example")
    place.deliver()
    place.environment.advance(timedelta(seconds=1))
    place.core.certificates.reissue(one, domain="store.example")
    (folder / "shop.example" / "privkey.pem").unlink()
    target.certcore_on_event(place.event(one), place.core.certificates)
    assert (folder / "shop.example" / "privkey.pem").exists()
    assert names(folder) == ["shop.example"]
    for _ in range(4):
        place.core.reconcile(one)
    place.deliver()
    assert names(folder) == ["shop.example", "store.example"]
    assert serial(folder / "store.example", place.environment) == place.core.certificates.view(one).leaf.serial_hex


def test_without_the_key(open_place, folder):
    """Where the format can do without it, no key is taken out."""
    place = open_place(web(folder, with_key=False))
    one = place.issued()
    place.deliver()
    assert names(folder / "shop.example") == ["cert.pem", "chain.pem", "fullchain.pem"]
    assert place.reveals(one) == []


def test_a_format_with_a_password(open_place, folder, script, caplog):
    """The file is encrypted, and the password is nowhere: not in reasons, logs, the record or the representation."""
    target = web(folder, format="pkcs12", password=Secret("canary-password"), command=script("exit 3"))
    place = open_place(target)
    with caplog.at_level(logging.DEBUG):
        one = place.issued()
        place.deliver()
        place.deliver()
    assert names(folder / "shop.example") == ["shop.example.p12"]
    said = [repr(target), caplog.text, place.reason(one, "web"), (folder / "shop.example" / RECORD).read_text()]
    assert not [text for text in said if "canary-password" in text or "PRIVATE KEY" in text]


def test_a_format_that_is_handed_in(open_place, folder):
    """One of the user's own is as good as certcore's."""

    def make(material, options):
        return [ExportedFile(name="names.txt", content=material.domain.encode())]

    mine = ExportFormat(name="names", title="Names", private_key=Use.NEVER, make=make)
    place = open_place(web(folder, format=mine))
    one = place.issued()
    place.deliver()
    assert (folder / "shop.example" / "names.txt").read_text() == "shop.example"
    assert place.reveals(one) == []


def test_a_policy_is_asked(open_place, folder):
    """Whoever may not take keys out deploys nothing; the reason is shown."""
    target = web(folder)
    place = open_place(target)
    one = place.issued()

    class Strict:
        view = staticmethod(place.core.certificates.view)

        def material(self, certificate_id, *, actor, **_):
            raise AccessDenied(actor, "certificate.reveal_key", certificate_id)

    with pytest.raises(AccessDenied, match="plugin:web"):
        target.certcore_on_event(place.event(one), Strict())
    assert names(folder / "shop.example") == []


def test_a_target_alone_that_fails(open_place, folder, script):
    """Taking the key out makes an event; the target that is not to be asked yet is not asked for it, and no harm."""
    place = open_place(web(folder, command=script("exit 3")), alone=True)
    one = place.issued()
    place.deliver()
    assert "ended with code 3" in place.reason(one, "web")


# ----------------------------------------------------------------------------------------------------------- command


def test_the_command_gets_little(open_place, folder, script):
    """No shell, nothing of this process's environment, no input, the root as working folder, and arguments as given."""
    odd = "a b; exit 9 $(exit 9) *"
    command = script(
        'note "$1"', "note $(pwd)", "note $(wc -c)", "env | sort | grep -v ^PWD= | while read -r l; do note $l; done"
    )
    place = open_place(web(folder, command=(*command, odd)))
    one = place.issued()
    place.deliver()
    assert place.reason(one, "web") is None
    first, here, given, *environment = script.noted()
    assert (first, here, given) == (odd, "/", "0")
    found = dict(line.split("=", 1) for line in environment)
    found.pop("_", None)
    found.pop("SHLVL", None)
    assert found.keys() == {"PATH", "LANG", "CERTCORE_DOMAIN", "CERTCORE_CERTIFICATE_ID", "CERTCORE_FOLDER"}
    assert found["CERTCORE_DOMAIN"] == "shop.example"
    assert found["CERTCORE_CERTIFICATE_ID"] == one
    assert found["CERTCORE_FOLDER"] == str(folder / "shop.example")


def test_a_command_that_fails_is_run_again(open_place, folder, script, tmp_path):
    """Until it succeeds; the reason is shown meanwhile, and the key is not taken out again for it."""
    allowed = tmp_path / "allowed"
    lines = ("note ran", f'test -e "{allowed}" && exit 0', "echo first >&2", "echo the last line >&2", "exit 3")
    place = open_place(web(folder, command=script(*lines)))
    one = place.issued()
    for count in (1, 2, 3):
        place.deliver()
        assert len(script.noted()) == count
        assert place.reason(one, "web").startswith(
            f"it raised DeploymentFailed: The command {SHELL} ended with code 3: the last line"
        )
        assert place.core.certificates.deliveries(one).behind["web"].attempts == count
        assert unfinished(folder / "shop.example") == {one: ["web"]}
    assert place.reveals(one) == [("plugin:web", "deployed by web")]
    allowed.touch()
    place.deliver()
    assert place.reason(one, "web") is None
    assert len(script.noted()) == 4
    assert unfinished(folder / "shop.example") == {one: []}
    place.deliver()
    assert len(script.noted()) == 4


def test_what_is_missing_is_written_again_before_the_command(open_place, folder, script):
    """When somebody has removed the files, or the target is another than before, running the command would not do."""
    target = web(folder, command=script("exit 3"))
    place = open_place(target)
    one = place.issued()
    place.deliver()
    there = folder / "shop.example"
    (there / "privkey.pem").unlink()
    place.deliver()
    assert (there / "privkey.pem").exists()
    assert len(place.reveals(one)) == 2
    with pytest.raises(DeploymentFailed):
        evolve(target, format="haproxy").certcore_on_event(place.event(one), place.core.certificates)
    assert "shop.example.pem" in names(there)
    evolve(target, command=()).certcore_on_event(place.event(one), place.core.certificates)
    assert unfinished(there) == {one: []}


def test_another_leaf_is_deployed_before_the_command_runs_again(open_place, folder, script):
    """A command that never succeeded is run for the newest files."""
    place = open_place(web(folder, command=script("exit 3")))
    one = place.issued()
    place.deliver()
    place.renewed(one)
    place.deliver()
    assert serial(folder / "shop.example", place.environment) == place.core.certificates.view(one).leaf.serial_hex
    assert place.reason(one, "web") is not None


def _until_the_end(listening):
    """What came through a pipe until nobody holds its other side any more."""
    heard = b""
    for _ in range(10):
        assert select.select([listening], [], [], 30)[0], "somebody still holds the other side"
        part = os.read(listening, 100)
        heard += part
        if not part:
            break
    return heard


@pytest.mark.parametrize("asked", ["", "trap '' TERM"], ids=["ends", "ignores"])
def test_a_command_that_hangs_is_ended_with_its_children(tmp_path, asked):
    """After its time, the polite and the stubborn; nothing of it stays."""
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    listening = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    try:
        script = f"{asked}\nexec 3>'{alive}'\necho started >&3\nsleep 600 &\nsleep 600"
        with pytest.raises(DeploymentFailed, match=r"did not end within 0.5 seconds and was ended\."):
            run_command((SHELL, "-c", script), environment={}, timeout=0.5)
        os.close(os.open(alive, os.O_WRONLY))  # a shell that was ended before it opened the pipe has left no end
        assert _until_the_end(listening) in {b"", b"started\n"}
    finally:
        os.close(listening)


def test_what_a_command_leaves_running_is_left_alone(tmp_path):
    """It is not waited for, though it has the command's stderr still, and says something on it."""
    number = tmp_path / "number"
    script = f"(trap '' PIPE; while sleep 0.01; do echo x >&2; done) & echo $! > '{number}'"
    run_command((SHELL, "-c", script), environment={}, timeout=60)
    left = int(number.read_text())
    os.kill(left, 0)
    os.kill(left, signal.SIGKILL)


def test_a_command_that_says_too_much(tmp_path):
    """Megabytes are read past; of the last line so much is shown as fits, and nothing that talks to a terminal."""
    script = (
        "head -c 20000000 /dev/zero | tr '\\0' x >&2; echo >&2; "
        "printf '\\033[2Jred\\007 %s\\n\\n' $(head -c 1000 /dev/zero | tr '\\0' y) >&2; exit 1"
    )
    with pytest.raises(DeploymentFailed) as failed:
        run_command((SHELL, "-c", script), environment={}, timeout=60)
    message = failed.value.message
    assert message.startswith(f"The command {SHELL} ended with code 1: \N{REPLACEMENT CHARACTER}[2Jred")
    assert message.endswith("y…")
    assert len(message) < 260
    assert message.isprintable()


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exit 7", "ended with code 7."),
        ("kill -9 $$", "was ended by SIGKILL."),
        ("exec 2>&-; sleep 0.2; exit 5", "ended with code 5."),
        ("printf '\\377\\n' >&2; exit 1", "ended with code 1: \N{REPLACEMENT CHARACTER}."),
        ("echo boom >&2; exit 3", "ended with code 3: boom."),
        ("echo boom. >&2; exit 3", "ended with code 3: boom."),
        ("echo Is it there? >&2; exit 3", "ended with code 3: Is it there?"),
    ],
)
def test_how_a_command_ended_is_said(script, how):
    """With its code or its signal, also when it closed stderr early or speaks no UTF-8."""
    with pytest.raises(DeploymentFailed) as failed:
        run_command((SHELL, "-c", script), environment={}, timeout=60)
    assert failed.value.message == f"The command {SHELL} {how}"
    assert "-c" not in failed.value.message


def test_a_command_that_cannot_be_started(open_place, folder, tmp_path):
    """The files are there, and the reason says what is wrong, without its arguments."""
    (tmp_path / "data").write_text("no program")
    for program, reason in (("/nowhere/reload", "No such file"), (str(tmp_path / "data"), "Permission denied")):
        target = web(folder / program.strip("/"), command=(program, "canary-argument"))
        place = open_place(target)
        one = place.issued()
        place.deliver()
        assert f"The command {program} cannot be started: {reason}" in place.reason(one, "web")
        assert "canary-argument" not in place.reason(one, "web")
        assert names(folder / program.strip("/") / "shop.example")


def test_an_interrupt_ends_the_command(tmp_path):
    """Ctrl-C while it runs leaves no process behind."""
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    listening = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    asking = f"exec 3>'{alive}'; sleep 0.3; kill -ALRM $PPID; sleep 600"
    before = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        with pytest.raises(KeyboardInterrupt):
            run_command((SHELL, "-c", asking), environment={}, timeout=600)
        assert _until_the_end(listening) == b""
    finally:
        signal.signal(signal.SIGALRM, before)
        os.close(listening)


def test_two_processes_deploy_one_after_the_other(open_place, folder, script, tmp_path):
    """While one's command runs the other is put off, and then brings what is in service by then: no older news wins."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = web(folder, command=script("note slow began", f"read -r line < '{gate}'", "note slow ended"))
    place = open_place()
    one = place.issued()
    event = place.event(one)
    first = threading.Thread(target=slow.certcore_on_event, args=(event, place.core.certificates))
    first.start()
    writing = os.open(gate, os.O_WRONLY)  # returns when the command reads
    place.renewed(one)
    quick = web(folder, command=("/bin/sh", "-c", f"echo quick >> '{tmp_path}/notes'"))
    with pytest.raises(DeploymentFailed, match="is under way"):
        quick.certcore_on_event(place.event(one), place.core.certificates)
    os.write(writing, b"go\n")
    os.close(writing)
    first.join(60)
    assert not first.is_alive()
    quick.certcore_on_event(place.event(one), place.core.certificates)
    assert script.noted() == ["slow began", "slow ended", "quick"]
    assert serial(folder / "shop.example", place.environment) == place.core.certificates.view(one).leaf.serial_hex


def test_a_folder_that_somebody_has_locked_is_not_waited_for(open_place, folder):
    """A second and no more, at each lock: its user may have locked it for ever, and others' certificates wait."""
    place = open_place(web(folder))
    one = place.issued()
    there = folder / "shop.example"
    there.mkdir(parents=True, mode=0o700)
    descriptor = os.open(there, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        place.deliver()
        assert "has been writing" in place.reason(one, "web")
        assert "for 1 seconds" in place.reason(one, "web")
    finally:
        os.close(descriptor)
    place.deliver()
    assert place.reason(one, "web") is None


# ------------------------------------------------------------------------------------------------- whose folder it is


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_another_certificates_folder_is_refused(open_place, folder, layout):
    """Two tenants have the same name: the files of the first stay, and the second's key is not even taken out."""
    place = open_place(web(folder, layout=layout))
    first = place.issued(owner="anna")
    place.deliver()
    there = folder / "shop.example" / ("live" if layout == "versioned" else "")
    before = serial(there, place.environment)
    second = place.issued(owner="bert")
    place.deliver()
    assert "holds the files of another certificate" in place.reason(second, "web")
    assert first in place.reason(second, "web")
    assert place.reveals(second) == []
    assert serial(there, place.environment) == before
    place.core.certificates.delete(first)
    place.deliver()
    assert place.reason(second, "web") is None
    assert serial(there, place.environment) == place.core.certificates.view(second).leaf.serial_hex
    assert unfinished(folder / "shop.example") == {second: []}


def imported(place, *names, end=None, self_signed=False, **fields):
    """The id of a certificate that was issued elsewhere, for the name of another one perhaps."""
    key, now = generate_key(KeyType.EC_P256), end or place.environment.now()
    if self_signed:
        chain = self_signed_leaf(key, now)
    else:
        request = build_csr(key, [DnsName(name) for name in names or ("shop.example",)], Subject()).decode()
        chain = LittleAuthority(now).issue(request, now=now)
    return place.core.certificates.import_certificate(chain, private_key_pem(key), **fields).id


def self_signed_leaf(key, now):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(30))
    names = x509.SubjectAlternativeName([x509.DNSName("shop.example")])
    return built.add_extension(names, critical=False).sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_leaf_that_was_issued_here_takes_the_place_of_an_imported_one(open_place, folder, layout):
    """Importing proves nothing: whoever does may have signed the leaf himself, to keep a name's owner out."""
    place = open_place(web(folder, imports=True, layout=layout))
    false = imported(place, owner="mallory")
    place.deliver()
    assert place.reason(false, "web") is None
    there = folder / "shop.example" / ("live" if layout == "versioned" else "")
    right = place.issued(owner="anna")
    place.deliver()
    assert place.reason(right, "web") is None
    own = place.core.certificates.view(right).leaf.serial_hex
    assert serial(there, place.environment) == own
    again = imported(place, owner="mallory")
    place.deliver()
    assert right in place.reason(again, "web")
    assert serial(there, place.environment) == own
    assert place.reveals(again) == []


def test_imported_leaves_and_one_owners_keep_their_places(open_place, folder):
    """Another imported one is no better, and an owner decides himself what becomes of his."""
    place = open_place(web(folder, imports=True))
    first = imported(place, owner="anna")
    place.deliver()
    for other in (imported(place, owner="bert"), place.issued(owner="anna")):
        place.deliver()
        assert first in place.reason(other, "web")


def test_an_imported_certificate_that_was_renewed_here_is_as_good_as_any(open_place, folder):
    """Its leaf in service was issued here."""
    place = open_place(web(folder, imports=True))
    first = imported(place, owner="anna")
    place.core.certificates.edit(first, authority=place.authority.id)
    place.renewed(first)
    place.deliver()
    assert place.reason(first, "web") is None
    second = place.issued(owner="bert")
    place.deliver()
    assert first in place.reason(second, "web")


@pytest.mark.parametrize("how", ["expired", "revoked", "renamed"])
def test_a_place_that_is_not_needed_any_more_is_free(open_place, folder, how):
    """Also for another owner: the leaf in service has ended, was revoked, or has its place in another folder."""
    place = open_place(web(folder))
    first = place.issued(owner="anna")
    place.deliver()
    second = place.issued(owner="bert")
    place.deliver()
    assert first in place.reason(second, "web")
    if how == "expired":
        place.environment.advance(timedelta(days=200))
        place.renewed(second)
    elif how == "revoked":
        place.core.certificates.revoke(first)
    else:
        place.environment.advance(timedelta(seconds=1))
        place.core.certificates.reissue(first, domain="store.example")
        for _ in range(4):
            place.core.reconcile(first)
    place.deliver()
    assert place.reason(second, "web") is None
    assert serial(folder / "shop.example", place.environment) == place.core.certificates.view(second).leaf.serial_hex
    if how == "renamed":
        own = place.core.certificates.view(first).leaf.serial_hex
        assert serial(folder / "store.example", place.environment) == own


@pytest.mark.parametrize(("options", "self_signed"), [({}, False), ({}, True), ({"imports": True}, True)])
def test_what_nobody_has_validated_is_not_deployed(open_place, folder, options, self_signed):
    """A leaf that a tenant imports for somebody else's name reaches no server: it is opt-in, self-signed ones never."""
    place = open_place(web(folder, **options))
    stranger = imported(place, owner="mallory", self_signed=self_signed)
    place.deliver()
    assert not folder.exists()
    assert place.reason(stranger, "web") is None
    assert place.reveals(stranger) == []
    bank = place.issued(owner="bank")
    place.deliver()
    assert place.reason(bank, "web") is None
    assert names(folder) == ["shop.example"]


@pytest.mark.parametrize("what_became_of_it", ["valid", "expired", "revoked", "deleted"])
def test_an_import_never_takes_another_owners_place(open_place, folder, what_became_of_it):
    """Neither while the other certificate is there nor afterwards; one of the same owner may."""
    place = open_place(web(folder, imports=True))
    first = place.issued(owner="bank")
    place.deliver()
    before = serial(folder / "shop.example", place.environment)
    if what_became_of_it == "expired":
        place.environment.advance(timedelta(days=200))
    elif what_became_of_it == "revoked":
        place.core.certificates.revoke(first)
    elif what_became_of_it == "deleted":
        place.core.certificates.delete(first)
    stranger = imported(place, owner="mallory")
    place.deliver()
    assert "holds the files of another certificate" in place.reason(stranger, "web")
    assert place.reveals(stranger) == []
    assert serial(folder / "shop.example", place.environment) == before
    own = imported(place, owner="bank")
    place.deliver()
    is_free = what_became_of_it != "valid"
    assert (place.reason(own, "web") is None) == is_free
    assert (serial(folder / "shop.example", place.environment) != before) == is_free


@pytest.mark.parametrize(
    ("more", "is_deployed"),
    [
        (["*.mallory.example"], True),
        (["www.mallory.example"], True),
        (["bank.example"], False),
        (["notmallory.example"], False),
    ],
)
def test_an_import_brings_no_name_that_the_target_does_not_select(open_place, folder, more, is_deployed):
    """A server of a shared folder answers for all names of each leaf in it, not for the primary one alone."""
    place = open_place(
        web(folder, imports=True, folder=str(folder), format="haproxy", domains=["mallory.example", ".able.example"])
    )
    stranger = imported(place, "mallory.example", *more, owner="mallory")
    place.deliver()
    assert place.reason(stranger, "web") is None
    assert folder.exists() == is_deployed
    assert place.reveals(stranger) == ([("plugin:web", "deployed by web")] if is_deployed else [])


def test_one_file_of_a_shared_folder_is_taken_over(open_place, folder):
    """Its other files stay those of the certificate that had it."""
    target = web(folder, imports=True, folder=str(folder), format="haproxy")
    place = open_place(target)
    first = imported(place, owner="mallory")
    place.deliver()
    document = json.loads((folder / RECORD).read_text())
    document["certificates"][first] |= {"files": ["more.pem", "shop.example.pem"], "unfinished": {"web": "x"}}
    (folder / RECORD).write_text(json.dumps(document))
    second = place.issued(owner="anna")
    place.deliver()
    assert place.reason(second, "web") is None
    document = json.loads((folder / RECORD).read_text())["certificates"]
    assert [document[one]["files"] for one in (first, second)] == [["more.pem"], ["shop.example.pem"]]
    with pytest.raises(DeploymentFailed, match=second):
        target.certcore_on_event(place.event(first, "imported"), place.core.certificates)


def test_a_leaf_that_has_ended_is_not_deployed(open_place, folder):
    """An old one that is imported does not take the place of files that are good still; and it is no error."""
    place = open_place(web(folder, imports=True))
    first = place.issued()
    place.deliver()
    before = serial(folder / "shop.example", place.environment)
    place.core.certificates.delete(first)
    ended = imported(place, end=place.environment.now() - timedelta(days=400))
    assert place.core.certificates.get(ended).status is Status.EXPIRED
    place.deliver()
    assert place.reason(ended, "web") is None
    assert serial(folder / "shop.example", place.environment) == before
    assert place.reveals(ended) == []


def test_a_certificate_that_was_made_anew_takes_its_place(open_place, folder, script):
    """When its owner deleted the one before; not as long as that one is there."""
    place = open_place(web(folder, command=script("note $CERTCORE_CERTIFICATE_ID")))
    first = place.issued(owner="anna")
    place.deliver()
    second = place.issued(owner="anna")
    place.deliver()
    assert "another certificate" in place.reason(second, "web")
    place.core.certificates.delete(first)
    place.deliver()
    assert place.reason(second, "web") is None
    assert script.noted() == [first, second]
    assert unfinished(folder / "shop.example") == {second: []}


def test_certificates_can_share_a_folder(open_place, folder):
    """Where each has files of its own name, as HAProxy likes them; one of the same name is refused."""
    place = open_place(web(folder, folder=str(folder), format="haproxy"))
    one, other = place.issued("one.example"), place.issued("other.example")
    place.deliver()
    assert names(folder) == ["one.example.pem", "other.example.pem"]
    same = place.issued("one.example", owner="bert")
    before = (folder / "one.example.pem").read_bytes()
    place.deliver()
    assert "another certificate" in place.reason(same, "web")
    assert (folder / "one.example.pem").read_bytes() == before
    place.renewed(one)
    place.renewed(other)
    place.deliver()
    assert (folder / "one.example.pem").read_bytes() != before
    assert [place.reason(each, "web") for each in (one, other)] == [None, None]


@pytest.mark.skipif(shutil.which("haproxy", path=SEARCHED) is None, reason="haproxy is not installed")
def test_haproxy_reads_a_shared_folder(open_place, folder, tmp_path):
    """It takes every file of a folder for a certificate; what is noted there it leaves alone."""
    place = open_place(web(folder, folder=str(folder), format="haproxy", command=("/bin/true",)))
    ids = [place.issued("one.example"), place.issued("other.example")]
    place.deliver()
    assert [place.reason(one, "web") for one in ids] == [None, None]
    assert {RECORD, LOCK} <= {path.name for path in folder.iterdir()}
    (tmp_path / "haproxy.cfg").write_text(
        f"frontend tls\n  mode http\n  timeout client 1s\n  bind 127.0.0.1:{free_port()} ssl crt {folder}/\n"
    )
    read = subprocess.run(
        [shutil.which("haproxy", path=SEARCHED), "-c", "-f", tmp_path / "haproxy.cfg"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_folder_without_placeholder_is_one_certificates(open_place, folder, layout):
    """Formats whose files have the same names for all, and versions, cannot be shared."""
    place = open_place(web(folder, folder=str(folder), layout=layout))
    first = place.issued("one.example")
    place.deliver()
    second = place.issued("other.example")
    place.deliver()
    assert place.reason(first, "web") is None
    assert "another certificate" in place.reason(second, "web")
    there = folder / "live" if layout == "versioned" else folder
    assert serial(there, place.environment) == place.core.certificates.view(first).leaf.serial_hex


def test_two_targets_for_one_certificate(open_place, folder, script):
    """Formats beside each other in one folder; each target's command is its own affair."""
    ok, bad = script("note $1"), ("/bin/false",)
    place = open_place(web(folder, command=(*ok, "pem")), web(folder, name="ha", format="haproxy", command=bad))
    one = place.issued()
    place.deliver()
    assert names(folder / "shop.example") == [
        "cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "shop.example.pem"
    ]  # fmt: skip
    assert place.reason(one, "web") is None
    assert "/bin/false ended with code 1" in place.reason(one, "ha")
    assert unfinished(folder / "shop.example") == {one: ["ha"]}
    place.deliver()
    assert script.noted() == ["pem"]


@pytest.mark.parametrize("name", [RECORD, LOCK])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_in_the_place_of_a_note_is_not_touched(open_place, folder, tmp_path, name, kind):
    """A link, a pipe or a folder there is refused, and nothing is waited for, followed or written."""
    there = folder / "shop.example"
    there.mkdir(parents=True, mode=0o700)
    if kind == "link":
        (there / name).symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(there / name)
    else:
        (there / name).mkdir()
    place = open_place(web(folder))
    one = place.issued()
    place.deliver()
    assert "cannot be read" in place.reason(one, "web")
    assert not (tmp_path / "elsewhere").exists()
    assert set(names(there)) <= {name}
    assert place.reveals(one) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"version": 2, "certificates": {}}',
        b'{"version": 1}',
        b'{"version": 1, "certificates": [1]}',
        b'{"version": 1, "certificates": {"a": {"owner": "", "whole": true, "files": "ab", "unfinished": {}}}}',
    ],
)
def test_a_note_that_cannot_be_read_lets_nobody_in(open_place, folder, content):
    """Whose the files are is not known then; the sentence says what to do."""
    there = folder / "shop.example"
    there.mkdir(parents=True, mode=0o700)
    (there / RECORD).write_bytes(content)
    place = open_place(web(folder))
    one = place.issued()
    place.deliver()
    assert "cannot be read" in place.reason(one, "web")
    assert names(there) == []
    (there / RECORD).unlink()
    place.deliver()
    assert place.reason(one, "web") is None


def test_folders_that_are_not_to_be_trusted(open_place, folder, tmp_path):
    """A link, a folder that others can write to, a way through a stranger's folder: a sentence, and no file."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.mkdir(mode=0o755)
    there = folder / "shop.example"
    place = open_place(web(folder))
    one = place.issued()
    there.symlink_to(elsewhere)
    place.deliver()
    assert "is a link" in place.reason(one, "web")
    there.unlink()
    there.mkdir()
    there.chmod(0o770)
    place.deliver()
    assert "Others can write to" in place.reason(one, "web")
    there.rmdir()
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
        place.deliver()
        assert "belongs to another user" in place.reason(one, "web")
        assert list(folder.iterdir()) == []
        os.chown(folder, 0, 0)
    assert list(elsewhere.iterdir()) == []
    assert place.reveals(one) == []
    place.deliver()
    assert place.reason(one, "web") is None


@needs_root
def test_files_for_another_user(open_place, folder):
    """Files and folder are theirs, the group can read the key, and a name that is nobody's is refused in words."""
    place = open_place(
        web(folder, owner=12345, group=54321, secret_mode=0o640),
        web(folder / "x", name="wrong", owner="nobody-of-this-name"),
    )
    one = place.issued()
    place.deliver()
    key = folder / "shop.example" / "privkey.pem"
    for path in (key, key.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)
    assert stat.S_IMODE(key.stat().st_mode) == 0o640
    assert place.reason(one, "web") is None
    assert "there is no user 'nobody-of-this-name'" in place.reason(one, "wrong")


def test_a_file_where_the_folder_should_be(open_place, folder):
    """The system's own refusal becomes a sentence."""
    folder.write_text("a file")
    place = open_place(web(folder))
    one = place.issued()
    place.deliver()
    assert "Not a directory" in place.reason(one, "web")
    assert folder.read_text() == "a file"


# -------------------------------------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "a" * 61}, "name"),
        ({"folder": "relative/{name}"}, "folder"),
        ({"folder": "/etc/{domain}"}, "folder"),
        ({"folder": "/etc/{name"}, "folder"),
        ({"folder": "/etc/{}"}, "folder"),
        ({"folder": "/etc/{name!r}"}, "folder"),
        ({"folder": "/etc/../{name}"}, "folder"),
        ({"folder": "/"}, "folder"),
        ({"folder": "/etc/a b"}, "folder"),
        ({"folder": "/etc/x\n"}, "folder"),
        ({"format": "jks"}, "format"),
        ({"format": "pkcs12"}, "password"),
        ({"format": "nginx", "password": Secret("password")}, "password"),
        ({"format": "nginx", "with_key": False}, "with_key"),
        ({"layout": "flat"}, "layout"),
        ({"secret_mode": 0o644}, "secret_mode"),
        ({"secret_mode": 0o1640}, "secret_mode"),
        ({"secret_mode": "0640"}, "secret_mode"),
        ({"keep": -1}, "keep"),
        ({"domains": ["*.shop.example"]}, "domains"),
        ({"domains": ["."]}, "domains"),
        ({"domains": [7]}, "domains"),
        ({"owners": [7]}, "owners"),
        ({"command": ["systemctl", "reload", "nginx"]}, "command"),
        ({"command": ["/bin/sh", 7]}, "command"),
        ({"command": ["/bin/sh", "a\0b"]}, "command"),
        ({"command": "true"}, "command"),
        ({"command_timeout": 0}, "command_timeout"),
        ({"command_timeout": float("nan")}, "command_timeout"),
        ({"command_timeout": True}, "command_timeout"),
    ],
)
def test_what_cannot_work_is_refused_at_once(given, field):
    """When the target is made, by the name of the field."""
    with pytest.raises(InvalidInput) as refused:
        DeployFiles(**{"name": "web", "folder": "/etc/ssl/{name}", **given})
    assert refused.value.field == field


# ------------------------------------------------------------------------------------------------------------ crashes


def test_a_crash_anywhere_runs_the_command_again(tmp_path):
    """A process is killed after each of its steps; the next one completes the files and runs the command for them."""
    done = subprocess.run(
        [sys.executable, __file__, tmp_path], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    points = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(points) > 20
    for point in points:
        assert point["served"] == point["in service"]
        assert point["files"] == ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"]
        assert list(point["unfinished"].values()) == [[]]
        # The script notes a run only when all files were there. It may have run just before the crash as well.
        assert point["after"] == point["before"] + 1 or (point["before"] == point["after"] == 1), point
        assert point["again"] == point["after"]
    assert {point["before"] for point in points} == {0, 1}
    # Nothing was left to do for the last ones only: those that were killed when all was noted.
    assert [point["after"] for point in points if point["before"] == 1][-1] == 1


def _runs(there):
    log = Path(f"{there}.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def _kill_at(point):
    """Have this process killed when the function that is the point-th to return in the watched modules does."""
    reached = 0

    def watch(frame, event, _):
        nonlocal reached
        if event == "return" and frame.f_code.co_filename in WATCHED:
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)
            reached += 1

    sys.setprofile(watch)


def _main(folder):
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    core = CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment)
    authority = core.authorities.create("test", module="scripted")
    one = core.certificates.create("shop.example", authority=authority.id).id
    core.certificates.generate_csr(one)
    core.reconcile(one)
    (event,) = [event for event in core.certificates.timeline(one) if event.kind == "installed"]
    for point in range(MOST):
        there = Path(folder) / str(point)
        script = f"test -e '{there}/privkey.pem' && echo ran >> '{there}.log'"
        target = DeployFiles(name="web", folder=str(there), command=(SHELL, "-c", script))
        child = os.fork()
        if child == 0:
            _kill_at(point)
            target.certcore_on_event(event, core.certificates)
            sys.setprofile(None)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
        found = {"before": _runs(there)}
        for when in ("after", "again"):
            target.certcore_on_event(event, core.certificates)
            found[when] = _runs(there)
        found["served"] = serial(there, environment)
        found["in service"] = core.certificates.view(one).leaf.serial_hex
        found |= {"files": names(there), "unfinished": unfinished(there)}
        sys.stdout.write(json.dumps(found) + "\n")
    sys.exit("There was no end of points.")


if __name__ == "__main__":
    _main(*sys.argv[1:])
