"""The commands of ``manage.py``, in a project of its own, as an administrator runs them."""

import re
import urllib.request

import dns.message
import dns.query
import pytest

from support.django_project import PATIENCE, stopped, wait_for, write_project


@pytest.fixture
def project(tmp_path):
    """A project that was set up: keyring, tables, groups."""
    return write_project(tmp_path)


@pytest.mark.slow(reason="starts processes with Django")
def test_setting_up_twice_changes_nothing(project):
    """The keyring, the tables and the groups are made once; the checks find nothing then."""
    keyring = (project.folder / "keyring.json").read_bytes()
    again = project.manage("certcore_setup")
    assert (again.returncode, again.stdout.strip()) == (0, "The SSL section is ready.")
    assert (project.folder / "keyring.json").read_bytes() == keyring
    check = project.manage("check")
    assert check.returncode == 0, check.stderr


@pytest.mark.slow(reason="starts processes with Django")
def test_the_worker_issues_and_ends_with_sigterm(project, tmp_path):
    """A requested certificate gets active, and SIGTERM ends the command with 0."""
    with project.core() as core:
        profile = core.authorities.create("Desk", module="scripted", settings={"api_key": "k"})
        made = core.certificates.create("shop.example", authority=profile.id)
        core.certificates.generate_csr(made.id)
        log = tmp_path / "worker.log"
        worker = project.start("django", "certcore_worker", log=log)
        try:
            wait_for(lambda: core.certificates.get(made.id).status == "active", worker, log)
        finally:
            code = stopped(worker, log)
    assert code == 0, log.read_text()
    assert "Stopped." in log.read_text()


@pytest.mark.slow(reason="starts processes with Django")
def test_the_dns_server_answers_for_the_tech_zone_without_the_keyring(project, tmp_path):
    """It serves the zone of a CA profile, reads the database only, and ends with SIGTERM."""
    with project.core() as core:
        core.authorities.create("ACME", module="puq_acme", settings={"tech_zone": "acme.panel.example"})
    (project.folder / "keyring.json").unlink()
    log = tmp_path / "dns.log"
    server = project.start("django", "certcore_dns", "--listen", "127.0.0.1:0", "--skip-checks", log=log)
    try:
        port = int(wait_for(lambda: re.search(r"127\.0\.0\.1:(\d+)", log.read_text()), server, log)[1])
        query = dns.message.make_query("acme.panel.example", "SOA")
        answer = wait_for(lambda: dns.query.tcp(query, "127.0.0.1", port=port, timeout=10).answer, server, log)
    finally:
        code = stopped(server, log)
    assert "acme.panel.example. " in str(answer[0])
    assert code == 0, log.read_text()


@pytest.mark.slow(reason="starts processes with Django")
def test_one_core_is_shared_by_the_workers_of_a_web_server(project, tmp_path):
    """With gunicorn --preload, the core is opened before the fork, and each worker uses it."""
    log = tmp_path / "gunicorn.log"
    server = project.start(
        "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--timeout", "120", "wsgi", log=log
    )
    try:
        port = wait_for(lambda: re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()), server, log)[1]

        def answer():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/who/", timeout=PATIENCE) as response:
                return response.read().decode().split()

        answers = [answer() for _ in range(4)]
    finally:
        stopped(server, log)
    assert {total for _, total in answers} == {"0"}
    assert str(server.pid) not in {pid for pid, _ in answers}
