"""The dry check of a deployment finds what the deployment would fail of, and changes nothing."""

import os
from pathlib import Path

import pytest

from certcore.model.readiness import WhoseTurn
from support.deployments import web


def codes(place, certificate_id):
    readiness = place.core.certificates.preflight(certificate_id).readiness
    return [(one.finding.code, one.target, one.whose_turn) for one in readiness.obstacles]


def everything(folder):
    return sorted((path, path.lstat().st_mode, path.lstat().st_mtime_ns) for path in Path(folder).rglob("*"))


def test_a_target_that_can_be_written_is_ready(open_place, folder, script):
    """Before the first deployment and after it; the check makes no folder, file or lock, and runs no command."""
    place = open_place(web(folder, command=script("note ran")))
    certificate_id = place.issued()
    before = everything(folder)
    assert codes(place, certificate_id) == []
    assert everything(folder) == before
    place.deliver()
    before = everything(folder)
    assert codes(place, certificate_id) == []
    assert everything(folder) == before
    assert script.noted() == ["ran"]


def _file_in_the_way(folder):
    (folder / "shop.example").write_text("x")


def _parent_is_a_file(folder):
    folder.rmdir()
    folder.write_text("x")


def _open_to_others(folder):
    (folder / "shop.example").mkdir()
    (folder / "shop.example").chmod(0o777)


def _parent_open_to_others(folder):
    folder.chmod(0o777)


def _link(folder):
    (folder / "elsewhere").mkdir()
    (folder / "shop.example").symlink_to(folder / "elsewhere")


def _link_to_nowhere(folder):
    (folder / "shop.example").symlink_to(folder / "nowhere")


@pytest.mark.parametrize(
    "spoil", [_file_in_the_way, _parent_is_a_file, _open_to_others, _parent_open_to_others, _link, _link_to_nowhere]
)
def test_it_finds_what_a_deployment_fails_of(open_place, folder, spoil):
    """The finding is the administrator's turn, and the deployment is indeed refused."""
    place = open_place(web(folder))
    certificate_id = place.issued()
    folder.mkdir(parents=True)
    spoil(folder)
    before = everything(folder.parent)
    assert codes(place, certificate_id) == [("target_not_writable", "web", WhoseTurn.ADMINISTRATOR)]
    assert everything(folder.parent) == before
    place.deliver()
    assert place.reason(certificate_id, "web")


def test_an_owner_that_does_not_exist_is_found(open_place, folder):
    """The user was removed from the machine since the target was set up."""
    place = open_place(web(folder, owner="no-such-user-here"))
    assert codes(place, place.issued()) == [("target_not_writable", "web", WhoseTurn.ADMINISTRATOR)]


@pytest.mark.parametrize("kind", ["missing", "not executable", "a folder"])
def test_a_command_that_cannot_be_started_is_found(open_place, folder, tmp_path, kind):
    """It is not there, is no program, or may not be executed."""
    program = tmp_path / "reload"
    if kind == "not executable":
        program.write_text("#!/bin/sh\n")
        program.chmod(0o600)
    if kind == "a folder":
        program.mkdir()
    place = open_place(web(folder, command=(os.fspath(program),)))
    assert codes(place, place.issued()) == [("command_not_executable", "web", WhoseTurn.ADMINISTRATOR)]


def test_a_certificate_that_the_target_does_not_select_is_not_checked(open_place, folder):
    """What is not deployed there is in nobody's way."""
    place = open_place(web(folder, domains=("other.example",), command=("/no/such/program",)))
    assert codes(place, place.issued()) == []
