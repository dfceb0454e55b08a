"""The command of a deployment: how it is run, and run again until it has succeeded."""

import fcntl
import os
import select
import signal
import threading

import pytest
from attrs import evolve

from certcore.contrib.deploy.command import run_command
from certcore.contrib.deploy.files import DeploymentError
from support.deployments import SHELL, names, serial, unfinished, web


def test_the_command_gets_little(open_place, folder, script):
    """No shell, nothing of this process's environment, no input, the root as working folder, and arguments as given."""
    odd = "a b; exit 9 $(exit 9) *"
    command = script(
        'note "$1"', "note $(pwd)", "note $(wc -c)", "env | sort | grep -v ^PWD= | while read -r l; do note $l; done"
    )
    place = open_place(web(folder, command=(*command, odd)))
    certificate_id = place.issued()
    place.deliver()
    assert place.reason(certificate_id, "web") is None
    first, here, given, *environment = script.noted()
    assert (first, here, given) == (odd, "/", "0")
    found = dict(line.split("=", 1) for line in environment)
    found.pop("_", None)
    found.pop("SHLVL", None)
    assert found.keys() == {"PATH", "LANG", "CERTCORE_DOMAIN", "CERTCORE_CERTIFICATE_ID", "CERTCORE_FOLDER"}
    assert found["CERTCORE_DOMAIN"] == "shop.example"
    assert found["CERTCORE_CERTIFICATE_ID"] == certificate_id
    assert found["CERTCORE_FOLDER"] == str(folder / "shop.example")


def test_a_command_that_fails_is_run_again(open_place, folder, script, tmp_path):
    """Until it succeeds; the reason is shown meanwhile, and the key is not taken out again for it."""
    allowed = tmp_path / "allowed"
    lines = ("note ran", f'test -e "{allowed}" && exit 0', "echo first >&2", "echo the last line >&2", "exit 3")
    place = open_place(web(folder, command=script(*lines)))
    certificate_id = place.issued()
    for count in (1, 2, 3):
        place.deliver()
        assert len(script.noted()) == count
        assert place.reason(certificate_id, "web").startswith(
            f"it raised DeploymentError: The command {SHELL} ended with exit code 3: the last line"
        )
        assert place.core.certificates.deliveries(certificate_id).behind["web"].attempts == count
        assert unfinished(folder / "shop.example") == {certificate_id: ["web"]}
    assert place.reveals(certificate_id) == [("plugin:web", "deployed by web")]
    allowed.touch()
    place.deliver()
    assert place.reason(certificate_id, "web") is None
    assert len(script.noted()) == 4
    assert unfinished(folder / "shop.example") == {certificate_id: []}
    place.deliver()
    assert len(script.noted()) == 4


def test_what_is_missing_is_written_again_before_the_command(open_place, folder, script):
    """When somebody has removed the files, or the target is another than before, running the command would not do."""
    target = web(folder, command=script("exit 3"))
    place = open_place(target)
    certificate_id = place.issued()
    place.deliver()
    there = folder / "shop.example"
    (there / "privkey.pem").unlink()
    place.deliver()
    assert (there / "privkey.pem").exists()
    assert len(place.reveals(certificate_id)) == 2
    with pytest.raises(DeploymentError):
        evolve(target, format="haproxy").certcore_on_event(place.event(certificate_id), place.core.certificates)
    assert "shop.example.pem" in names(there)
    evolve(target, command=()).certcore_on_event(place.event(certificate_id), place.core.certificates)
    assert unfinished(there) == {certificate_id: []}


def test_another_leaf_is_deployed_before_the_command_runs_again(open_place, folder, script):
    """A command that never succeeded is run for the newest files."""
    place = open_place(web(folder, command=script("exit 3")))
    certificate_id = place.issued()
    place.deliver()
    place.renewed(certificate_id)
    place.deliver()
    assert (
        serial(folder / "shop.example", place.environment)
        == place.core.certificates.view(certificate_id).leaf.serial_hex
    )
    assert place.reason(certificate_id, "web") is not None


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


@pytest.mark.slow(reason="waits until a command has used its time up")
@pytest.mark.parametrize("asked", ["", "trap '' TERM"], ids=["ends", "ignores"])
def test_a_command_that_hangs_is_ended_with_its_children(tmp_path, asked):
    """After its time, the polite and the stubborn; nothing of it stays."""
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    listening = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    try:
        script = f"{asked}\nexec 3>'{alive}'\necho started >&3\nsleep 600 &\nsleep 600"
        with pytest.raises(DeploymentError, match=r"did not end within 0.5 seconds and was stopped\."):
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
    with pytest.raises(DeploymentError) as failed:
        run_command((SHELL, "-c", script), environment={}, timeout=60)
    message = failed.value.message
    assert message.startswith(f"The command {SHELL} ended with exit code 1: \N{REPLACEMENT CHARACTER}[2Jred")
    assert message.endswith("y…")
    assert len(message) < 260
    assert message.isprintable()


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exit 7", "ended with exit code 7."),
        ("kill -9 $$", "was killed by SIGKILL."),
        ("exec 2>&-; sleep 0.2; exit 5", "ended with exit code 5."),
        ("printf '\\377\\n' >&2; exit 1", "ended with exit code 1: \N{REPLACEMENT CHARACTER}."),
        ("echo boom >&2; exit 3", "ended with exit code 3: boom."),
        ("echo boom. >&2; exit 3", "ended with exit code 3: boom."),
        ("echo Is it there? >&2; exit 3", "ended with exit code 3: Is it there?"),
    ],
)
def test_how_a_command_ended_is_said(script, how):
    """With its code or its signal, also when it closed stderr early or speaks no UTF-8."""
    with pytest.raises(DeploymentError) as failed:
        run_command((SHELL, "-c", script), environment={}, timeout=60)
    assert failed.value.message == f"The command {SHELL} {how}"
    assert "-c" not in failed.value.message


def test_a_command_that_cannot_be_started(open_place, folder, tmp_path):
    """The files are there, and the reason says what is wrong, without its arguments."""
    (tmp_path / "data").write_text("no program")
    for program, reason in (("/nowhere/reload", "No such file"), (str(tmp_path / "data"), "Permission denied")):
        target = web(folder / program.strip("/"), command=(program, "canary-argument"))
        place = open_place(target)
        certificate_id = place.issued()
        place.deliver()
        assert f"The command {program} cannot be started: {reason}" in place.reason(certificate_id, "web")
        assert "canary-argument" not in place.reason(certificate_id, "web")
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


@pytest.mark.slow(reason="waits for a lock for a second")
def test_two_processes_deploy_one_after_the_other(open_place, folder, script, tmp_path):
    """While one process runs its command the other waits, and then deploys the leaf that is in service."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = web(folder, command=script("note slow began", f"read -r line < '{gate}'", "note slow ended"))
    place = open_place()
    certificate_id = place.issued()
    event = place.event(certificate_id)
    first = threading.Thread(target=slow.certcore_on_event, args=(event, place.core.certificates))
    first.start()
    writing = os.open(gate, os.O_WRONLY)  # returns when the command reads
    place.renewed(certificate_id)
    quick = web(folder, command=("/bin/sh", "-c", f"echo quick >> '{tmp_path}/notes'"))
    with pytest.raises(DeploymentError, match="is running"):
        quick.certcore_on_event(place.event(certificate_id), place.core.certificates)
    os.write(writing, b"go\n")
    os.close(writing)
    first.join(60)
    assert not first.is_alive()
    quick.certcore_on_event(place.event(certificate_id), place.core.certificates)
    assert script.noted() == ["slow began", "slow ended", "quick"]
    assert (
        serial(folder / "shop.example", place.environment)
        == place.core.certificates.view(certificate_id).leaf.serial_hex
    )


@pytest.mark.slow(reason="waits for a lock for a second")
def test_a_folder_that_somebody_has_locked_is_not_waited_for(open_place, folder):
    """Each lock is waited for a second at most, because its user may never release it."""
    place = open_place(web(folder))
    certificate_id = place.issued()
    there = folder / "shop.example"
    there.mkdir(parents=True, mode=0o700)
    descriptor = os.open(there, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        place.deliver()
        assert "has been writing" in place.reason(certificate_id, "web")
        assert "for 1 seconds" in place.reason(certificate_id, "web")
    finally:
        os.close(descriptor)
    place.deliver()
    assert place.reason(certificate_id, "web") is None
