"""`certcore run --targets`: what was issued is deployed and told of, and what is wrong with the file is said."""

from datetime import UTC, datetime, timedelta

import pytest

from certcore import CertCore, hookimpl
from certcore.cli.undelivered import deliveries_of, draw_targets, targets_document
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.leaves import bought
from support.targets_file import TARGETS


@pytest.fixture(scope="module")
def issued(certcore):
    """A certificate in the command's store; its CA is not there any more."""
    certcore.inside("init")
    ca = ScriptedCA([Act.ISSUE], now=datetime.now(UTC))
    plugins = [ca.plugin()]
    with CertCore.open(f"sqlite:///{certcore.database}", keyring=certcore.keyring, plugins=plugins) as core:
        authority = core.authorities.create("scripted", module="scripted")
        certificate_id = core.certificates.create("shop.example.com", authority=authority.id).id
        core.certificates.generate_csr(certificate_id)
        for _ in range(3):
            core.reconcile(certificate_id)
    return certificate_id


def test_targets_are_told_by_the_worker(certcore, issued):
    """The files are there and the command has run; what one target refuses is shown, and holds up nobody else."""
    path = certcore.folder / "targets.toml"
    path.write_text(TARGETS.format(folder=certcore.folder))
    path.chmod(0o600)
    live = certcore.folder / "ssl" / "shop.example.com" / "live"
    certcore("run", "--once")
    assert not live.exists()
    said = certcore("run", "--once", env={"CERTCORE_TARGETS": str(path)}, expect=1)
    assert "The target nowhere did not accept shop.example.com: " in said.stdout
    assert "The target web" not in said.stdout
    assert sorted(path.name for path in live.iterdir()) == ["fullchain.pem", "nginx-ssl.conf", "privkey.pem"]
    assert (certcore.folder / "notes").read_text() == "ran\n"
    path.write_text(path.read_text().partition("[[webhook]]")[0])
    assert certcore.json("run", "--once", "--targets", path)["undelivered"] == []
    assert (certcore.folder / "notes").read_text() == "ran\n"
    with CertCore.open(f"sqlite:///{certcore.database}", keyring=certcore.keyring) as core:
        (name, behind), *others = core.certificates.deliveries(issued).behind.items()
    assert (name, others) == ("nowhere", [])
    assert "refused the connection" in behind.reason
    assert "canary" not in behind.reason


def test_a_target_that_is_behind_is_shown(certcore, issued):
    """`cert show` lists targets that are behind, with the reason and the next retry, and no others."""
    path = certcore.folder / "behind.toml"
    path.write_text(TARGETS.format(folder=certcore.folder).replace("nowhere", "elsewhere"))
    path.chmod(0o600)
    certcore.inside("cert", "edit", issued, "--set", "days_before=20")
    told = certcore.json("run", "--once", "--targets", path, expect=1)["undelivered"]
    assert [(one["target"], one["id"], one["domain"]) for one in told] == [("elsewhere", issued, "shop.example.com")]
    shown = {target["name"]: target for target in certcore.json("cert", "show", issued)["targets"]}
    assert "web" not in shown
    assert (shown["elsewhere"]["attempts"], shown["elsewhere"]["reason"]) == (1, told[0]["reason"])
    assert shown["elsewhere"]["events_told"] < shown["elsewhere"]["events"]
    assert datetime.fromisoformat(shown["elsewhere"]["tried_again_at"]) > datetime.now(UTC) - timedelta(minutes=1)
    said = certcore("cert", "show", issued).stdout
    assert "TARGET BEHIND" in said
    assert "refused the connection" in said


def test_until_idle_names_a_target_that_failed(certcore, issued):
    """Exit code 1, as with --once; 0 when nothing but that was left, and there is nothing left."""
    path = certcore.folder / "until.toml"
    path.write_text(TARGETS.format(folder=certcore.folder).replace("nowhere", "gone"))
    path.chmod(0o600)
    certcore.inside("cert", "edit", issued, "--set", "days_before=21")
    said = certcore.inside("run", "--until-idle", "--targets", path, expect=1).stdout
    assert "The target gone did not accept shop.example.com: " in said
    assert "Nothing is left" not in said
    certcore.inside("cert", "edit", issued, "--set", "days_before=22")
    told = certcore.json("run", "--until-idle", "--targets", path, expect=1)
    assert told["outcome"] == "idle"
    assert [(one["target"], one["id"]) for one in told["undelivered"]] == [("gone", issued)]
    path.write_text(path.read_text().partition("[[webhook]]")[0])
    assert "Nothing is left" in certcore.inside("run", "--until-idle", "--targets", path).stdout


def test_a_later_run_names_a_target_that_still_fails(certcore, issued):
    """Also when it is not due yet: what an earlier process could not tell is not forgotten by the next one."""
    path = certcore.folder / "later.toml"
    path.write_text(TARGETS.format(folder=certcore.folder).replace("nowhere", "silent"))
    path.chmod(0o600)
    certcore.inside("cert", "edit", issued, "--set", "days_before=23")
    first = certcore.json("run", "--once", "--targets", path, expect=1)["undelivered"]
    assert [(one["target"], one["id"]) for one in first] == [("silent", issued)]
    assert certcore.json("run", "--once", "--targets", path, expect=1)["undelivered"] == first
    assert certcore.json("run", "--until-idle", "--targets", path, expect=1)["undelivered"] == first


def test_the_notices_of_the_file_are_those_of_the_worker(certcore, issued):
    """`[notices]` decides when the record says that a leaf ends soon; what is wrong in it is named by its key."""
    path = certcore.folder / "notices.toml"
    leaf, _ = bought("bought.test", now=datetime.now(UTC) - timedelta(days=82))
    path_of_leaf = certcore.folder / "bought.pem"
    path_of_leaf.write_text(leaf)
    kinds = []
    for text in ("[notices]\ndays_before = [2]\n", "[notices]\ndays_before = [10, 1]\n"):
        path.write_text(text)
        path.chmod(0o600)
        one = certcore.json("cert", "import", path_of_leaf, "--owner", f"number {len(kinds)}")["id"]
        certcore.inside("run", "--once", "--targets", path)
        kinds.append([one["kind"] for one in certcore.json("cert", "timeline", one)["timeline"]])
    assert "expires_soon" not in kinds[0]
    assert "expires_soon" in kinds[1]
    path.write_text("[notices]\nafter_failures = 0\n")
    error = certcore.json("run", "--once", "--targets", path, expect=1)["error"]
    assert (error["code"], error["params"]["field"]) == ("invalid_input", "[notices], after_failures")


class _Nobody:
    """A policy that lets nobody see how far the targets were told."""

    @hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        return False if actor != "system" and action == "certificate.deliveries" else None


def test_somebody_who_may_not_see_the_record_is_shown_no_targets():
    """The block is left out, not empty, because empty would mean that all targets were told."""
    ca = ScriptedCA([Act.ISSUE], now=datetime.now(UTC))
    with CertCore.in_memory(plugins=[ca.plugin(), _Nobody()]) as core:
        authority = core.authorities.create("scripted", module="scripted")
        certificate_id = core.certificates.create("shop.example.com", authority=authority.id).id
        assert targets_document(deliveries_of(core, certificate_id, actor="system"), core.now()) == {"targets": []}
        assert targets_document(deliveries_of(core, certificate_id, actor="anna"), core.now()) == {}
        draw_targets(None, deliveries_of(core, certificate_id, actor="anna"), core.now())


def test_a_file_of_targets_that_is_wrong(certcore, issued):
    """Nothing is done; table and key are named."""
    path = certcore.folder / "wrong.toml"
    path.write_text('[[deploy]]\nname = "web"\nfolder = "relative"\n')
    path.chmod(0o600)
    error = certcore.json("run", "--once", "--targets", path, expect=1)["error"]
    assert (error["code"], error["params"]["field"]) == ("invalid_input", "[[deploy]] web, folder")
    assert certcore.json("run", "--once", "--targets", certcore.folder / "missing.toml", expect=1)["error"]


def test_targets_without_a_store(certcore, issued):
    """Without a store the command refuses, as every command does."""
    path = certcore.folder / "empty.toml"
    path.touch(mode=0o600)
    missing = certcore.folder / "missing.db"
    done = certcore.inside("run", "--once", "--targets", path, "--database", missing, expect=1)
    assert "certcore init" in done.stderr
    assert not missing.exists()
