"""Every command but those that need a CA: what it does, its JSON, its exit code, and what mistakes lead to."""

import json
import re
from datetime import UTC, datetime

import pytest
import typer.main

from certcore.cli.app import app
from certcore.cli.output import Output
from certcore.errors import CAError
from support.leaves import bought

CANARY = "dGhlLWNhbmFyeS1vZi10aGUtY29tbWFuZC1saW5l"


def _commands(command, path=()):
    for name, one in getattr(command, "commands", {}).items():
        if hasattr(one, "commands"):
            yield from _commands(one, (*path, name))
        else:
            yield (*path, name), one


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_takes_json_and_tells_what_it_is_for(path):
    """`--json` works after every command, and every option and command has a help text."""
    command = COMMANDS[path]
    options = {name for param in command.params for name in param.opts}
    assert "--json" in options
    # The DNS server reads the database, and a migration changes its tables: neither opens a secret.
    without_keyring = {path: {"--database"} for path in (("dns", "serve"), ("migrate",))}
    without_store = {("demo",), ("schema",), ("authority", "fields"), ("authority", "modules")}
    is_free = path in without_store or path[0] == "plugin"
    needed = set() if is_free else without_keyring.get(path, {"--database", "--keyring"})
    assert needed <= options
    assert command.help
    assert not [param.name for param in command.params if param.param_type_name == "option" and not param.help]


def test_the_commands_are_those_of_the_documentation():
    """No command disappears unnoticed."""
    groups = {
        "authority": "add edit list show test actions run remove modules fields",
        "plugin": "list show check new",
        "cert": "create csr check list show hints actions run export delete",
    }
    wanted = {("init",), ("migrate",), ("run",), ("demo",), ("dns", "serve")}
    wanted |= {(group, name) for group, names in groups.items() for name in names.split()}
    assert wanted <= COMMANDS.keys()


def test_help_and_version_are_at_hand(certcore):
    """`--help` names the commands, `-h` is the same, `--version` prints one line."""
    assert "authority" in certcore("--help").stdout
    assert certcore("-h").stdout == certcore("--help").stdout
    assert re.fullmatch(r"certcore \d+\.\d+\S*\n", certcore("--version").stdout)


def test_a_ca_profile_from_add_to_remove(store):
    """A profile can be added, listed, shown and removed; all of it in JSON, too."""
    settings = (
        "--set",
        "tech_zone=acme.panel.test",
        "--set",
        "dns_servers=127.0.0.1",
        "--set",
        "dns_servers=192.0.2.1:5353",
    )
    added = store.json("authority", "add", "second", "--module", "puq_acme", *settings, "--description", "for a test")
    assert added["settings"]["dns_servers"] == ["127.0.0.1", "192.0.2.1:5353"]
    listed = store.json("authority", "list")["authorities"]
    assert [one["name"] for one in listed] == ["dead", "second"]
    shown = store.json("authority", "show", "second")
    assert any("no account at the CA" in hint.get("text", {}).get("text", "") for hint in shown.pop("hints"))
    assert shown == added
    assert store.json("authority", "show", added["id"])["id"] == added["id"]
    assert "acme.panel.test" in store("authority", "show", "second").stdout
    assert "second" in store("authority", "list").stdout
    changed = store.json("authority", "edit", "second", "--set", "ttl=60", "--set", "limits=orders 5 per 1h")
    assert (changed["settings"]["ttl"], changed["settings"]["limits"]) == (60, ["orders 5 per 1h"])
    assert changed["settings"]["dns_servers"] == added["settings"]["dns_servers"]
    offered = store.json("authority", "actions", "second")["actions"]
    assert [one["name"] for one in offered] == ["open_account", "import_account_key"]
    assert "import_account_key" in store("authority", "actions", "second").stdout
    assert "Possible now" in store("authority", "run", "second", "explode", expect=1).stderr
    assert store.json("authority", "remove", "second") == {"removed": {"id": added["id"], "name": "second"}}
    assert "authority list" in store("authority", "show", "second", expect=1).stderr


def test_a_ca_that_does_not_answer_fails_the_test(store):
    """`authority test` says what is wrong and what to do, and ends with 1."""
    report = json.loads(store("authority", "test", "dead", "--json", expect=1).stdout)
    assert not report["ok"]
    assert "127.0.0.1:1" in json.dumps(report)
    assert "✗" in store("authority", "test", "dead", expect=1).stdout


def test_a_secret_setting_goes_in_and_never_comes_out(store):
    """A secret is read from a file, and no command shows it: not in words, not in JSON, not in an error."""
    secret = store.folder / "hmac.txt"
    secret.write_text(f"{CANARY}\n")
    settings = ("--set", "tech_zone=acme.panel.test", "--set", "eab_kid=kid-1", "--set", f"eab_hmac_key=@{secret}")
    said = []
    for name, options in (("sealed", ()), ("sealed", ()), ("wrong", ("--set", "ttl=never"))):
        failed = 1 if said else 0
        add = ("authority", "add", name, "--module", "puq_acme", *settings, *options)
        done = store.inside(*add, "--json", expect=failed)
        said.append(done.stdout + done.stderr)
    for command in ("authority show sealed", "authority list"):
        for options in ((), ("--json",)):
            done = (store.inside if options else store)(*command.split(), *options)
            said.append(done.stdout + done.stderr)
    assert "eab_hmac_key" in said[-4]
    assert not [text for text in said if CANARY in text]
    assert CANARY.encode() not in store.database.read_bytes()
    assert store.json("authority", "show", "sealed")["secrets_set"] == ["eab_hmac_key"]
    store.inside("authority", "remove", "sealed")


def test_a_certificate_from_draft_to_deletion(store):
    """create, list, show, hints, csr, check, renew, export, delete: each does its part or says why it cannot."""
    made = store.json("cert", "create", "Story.Demo.Test.", "--alias", "www.story.demo.test", "--wildcard",
                      "--authority", "dead", "--key-type", "EC_P384")  # fmt: skip
    assert made["names"] == ["story.demo.test", "*.story.demo.test", "www.story.demo.test"]
    assert (made["status"], made["key_type"], made["authority"]) == ("draft", "ec-p384", "dead")
    assert "Check now" in store.inside("cert", "check", "story.demo.test", expect=1).stderr

    listed = store.json("cert", "list", "--status", "draft", "--authority", "dead")
    assert [certificate["domain"] for certificate in listed["certificates"]] == ["story.demo.test"]
    assert not listed["more"]
    assert "story.demo.test" in store("cert", "list").stdout
    assert store.json("cert", "list", "--status", "active")["certificates"] == []

    hints = store.json("cert", "hints", "story.demo.test")["hints"]
    rows = next(hint["rows"] for hint in hints if hint["kind"] == "dns_records")
    assert [row["name"] for row in rows] == ["_acme-challenge.story.demo.test", "_acme-challenge.www.story.demo.test"]
    words = store("cert", "hints", "story.demo.test").stdout
    for row in rows:
        assert re.search(rf"^  {re.escape(row['name'])} +CNAME +{re.escape(row['value'])}$", words, re.MULTILINE)

    pending = store.json("cert", "csr", "story.demo.test")
    assert pending["status"] == "pending"
    assert pending["issuance"]["csr_pem"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert pending["timeline"][-1]["actor"].startswith("cli:")
    assert "draft" not in store.inside("cert", "csr", "story.demo.test", expect=1).stdout
    assert store.json("cert", "check", "story.demo.test")["status"] == "pending"

    shown = store.json("cert", "show", made["id"])
    assert [event["kind"] for event in shown["timeline"]] == ["created", "csr_generated", "check_requested"]
    assert shown["leaf"] is None
    assert "csr generated" in store("cert", "show", "story.demo.test").stdout
    assert (
        "No certificate was issued" in store.inside("cert", "export", "story.demo.test", "--out", "x", expect=1).stderr
    )
    assert not (store.folder / "x").exists()
    store.inside("cert", "renew", "story.demo.test", expect=1)
    assert "story.demo.test" in store.inside("authority", "remove", "dead", expect=1).stderr

    assert "--yes" in store("cert", "delete", "story.demo.test", expect=2).stderr
    assert store.json("cert", "show", made["id"])["status"] == "pending"
    assert store.json("cert", "delete", "story.demo.test", "--yes")["deleted"]["id"] == made["id"]
    assert "cert list" in store.inside("cert", "show", "story.demo.test", expect=1).stderr


def test_what_a_module_offers_for_a_certificate_is_listed_and_run(store):
    """The ACME module offers nothing; the buttons of certcore are run by the same command."""
    certificate_id = store.json("cert", "create", "acts.test", "--authority", "dead")["id"]
    assert store.json("cert", "actions", certificate_id) == {"actions": []}
    assert "no actions now" in store("cert", "actions", certificate_id).stdout
    assert "the issuance has begun" in store.json("cert", "run", certificate_id, "generate_csr")["done"]["text"]
    assert "Possible now" in store("cert", "run", certificate_id, "explode", expect=1).stderr
    store("cert", "delete", certificate_id, "--yes")


def test_run_takes_steps_and_ends(store):
    """`run --once` looks at what is due; `run --until-idle` ends although the owner has not set the CNAME."""
    store.inside("cert", "create", "owner.demo.test", "--authority", "dead")
    store.inside("cert", "csr", "owner.demo.test")
    assert json.loads(store("run", "--once", "--json").stdout)["looked_at"] == 1
    assert json.loads(store("run", "--once", "--json").stdout)["looked_at"] == 0
    store.inside("cert", "check", "owner.demo.test")
    idle = json.loads(store("run", "--until-idle", "--json").stdout)
    assert idle["outcome"] == "idle"
    assert [one["domain"] for one in idle["waiting"]] == ["owner.demo.test"]
    assert "cert hints owner.demo.test" in store("run", "--until-idle").stdout
    store.inside("cert", "delete", "owner.demo.test", "--yes")


def test_servers_that_cannot_be_asked_are_not_the_owners_fault(imported):
    """A renewal whose DNS servers refuse the connection: `run --once` names the servers, and not the owner."""
    store, name = imported
    store.inside("cert", "edit", name, "--set", "authority=dead")
    store.inside("cert", "renew", name)
    (failing,) = store.json("run", "--once", expect=1)["failing"]
    assert failing["domain"] == name
    assert "could not be looked up: 127.0.0.1:1" in failing["problem"]["title"]
    store.inside("cert", "check", name)
    told = store.inside("run", "--once", expect=1).stdout
    assert "dns_servers" in told
    assert "owner" not in told


def test_obtain_ends_with_0_while_the_old_leaf_is_valid(imported):
    """The renewal fails, and is printed; the script goes on, because a valid leaf is in service."""
    store, name = imported
    store.inside("cert", "edit", name, "--set", "authority=dead")
    store.inside("cert", "renew", name)
    done = store.inside("obtain", name, "--authority", "dead", "--timeout", "0.5")
    assert f"{name} is active" in done.stdout
    assert f"{name} is not renewed" in done.stdout


def test_a_saved_renewal_policy_says_when_it_renews(imported):
    """Of 80 days before the end of 90 only half the lifetime counts: `edit` says when, and the hints say why."""
    store, name = imported
    store.inside("cert", "edit", name, "--set", "authority=dead")
    saved = store.inside("cert", "edit", name, "--set", "days_before=80").stdout
    renews_at = store.json("cert", "show", name)["renews_at"]
    assert f"renews automatically from {renews_at.replace('T', ' ').replace('Z', ' UTC')}" in saved
    assert "80 days before the end" in store.inside("cert", "hints", name).stdout


def test_advice_names_commands(store):
    """What helps is said as a command, and not as a call of the library or an action of its table."""
    unknown = store.inside("cert", "create", "advice.test", "--authority", "nobody", expect=1).stderr
    assert "certcore authority list" in unknown
    one = store.json("cert", "create", "advice.test", "--authority", "dead")["id"]
    assert (
        "Possible now: certcore cert csr, delete, edit, export." in store.inside("cert", "renew", one, expect=1).stderr
    )
    store.inside("cert", "delete", one, "--yes")
    missing = store.inside("obtain", "advice.test", "--authority", "dead", "--timeout", "1", expect=1).stderr
    made = store.json("cert", "show", "advice.test")["id"]
    assert f"certcore cert hints {made}" in missing
    assert "certificates." not in unknown + missing
    assert "authorities." not in unknown + missing
    store.inside("cert", "delete", made, "--yes")


def test_an_ambiguous_domain_is_named_with_its_ids(store):
    """Where two certificates have a domain, the message lists their ids, and an id is accepted."""
    ids = {store.json("cert", "create", "twice.demo.test", "--authority", "dead")["id"] for _ in range(2)}
    error = store.json("cert", "show", "twice.demo.test", expect=1)["error"]
    assert error["code"] == "ambiguous_name"
    assert all(one in error["advice"] for one in ids)
    for one in ids:
        assert f"certcore cert csr {one}" in store.inside("cert", "hints", one).stdout  # nor is what it suggests
    for one in ids:
        store.inside("cert", "delete", one, "--yes")


@pytest.fixture
def imported(store, tmp_path):
    """The command, and the name of a certificate that was issued elsewhere."""
    name, now = "bought.demo.test", datetime.now(UTC)
    for file, content in zip(("chain.pem", "key.pem"), bought(name, now=now), strict=True):
        (tmp_path / file).write_text(content)
    store.inside("cert", "import", tmp_path / "chain.pem", "--key", tmp_path / "key.pem")
    yield store, name
    store.inside("cert", "delete", name, "--yes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("cert show nowhere.test", "nowhere.test"),
        ("cert show not..a..name", "not..a..name"),
        ("cert create exa_mple.test --authority dead", "exa_mple.test"),
        ("cert create a.test --authority nobody", "nobody"),
        ("cert create a.test --authority dead --key-type dsa-512", "ec-p256"),
        ("cert create x.acme.panel.test --authority dead", "tech zone"),
        ("cert list --status unknown", "unknown"),
        ("cert list --authority nobody", "there is no CA profile 'nobody'."),
        ("authority add x --module nope", "nope"),
        ("authority add x --module puq_acme", "tech_zone"),
        ("authority add x --module puq_acme --set tech_zone=a.test --set colour=red", "colour"),
        ("authority add x --module puq_acme --set tech_zone=a.test --set ttl=1", "ttl"),
        ("authority add x --module puq_acme --set tech_zone=@/does/not/exist", "/does/not/exist"),
        ("authority add dead --module puq_acme --set tech_zone=a.test", "There is already a CA profile named 'dead'."),
        ("dns serve --listen 127.0.0.1:0 --zone a.test=/does/not/exist", "/does/not/exist"),
        ("dns serve --listen 192.0.2.1:5353", "192.0.2.1"),
        ("dns serve --listen 127.0.0.1:0 --module nope", "nope"),
    ],
)
def test_a_refused_value_is_a_sentence_and_exit_code_1(store, arguments, words):
    """What the library refuses ends with 1, an explanation on stderr, and with --json one document on stdout."""
    done = store.inside(*arguments.split(), expect=1)
    assert words in done.stderr
    assert "bug" not in done.stderr
    assert done.stdout == ""
    error = store.json(*arguments.split(), expect=1)["error"]
    assert words in error["message"] + error["advice"]


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense",
        "cert",
        "cert create a.test",
        "cert show",
        "cert export a.test",
        "cert list --limit 0",
        "authority add x",
        "authority add x --module puq_acme --set tech_zone",
        "authority add x --module puq_acme --set =x",
        "authority add x --module puq_acme --set tech_zone=a.test --set tech_zone=b.test",
        "run --once --until-idle",
        "run --timeout soon",
        "run --dns 127.0.0.1",
        "dns serve --listen 53",
        "dns serve --zone a.test",
        "init --nonsense",
    ],
)
def test_wrong_usage_is_exit_code_2(store, arguments):
    """What the command line itself does not understand ends with 2, and nothing is on stdout but a help text."""
    done = store.inside(*arguments.split(), expect=2)
    assert "Usage" in done.stdout + done.stderr


def test_a_hostile_text_does_not_talk_to_the_terminal(store):
    """Escape sequences in what is shown do not reach the terminal."""
    done = store("cert", "show", "\x1b[31mred\x1b]0;title\x07", expect=1)
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


def test_what_a_ca_said_is_shown(capsys):
    """Beside our own words, and not twice; it does not talk to the terminal, either."""
    for error, said in (
        (CAError("Refused.", detail="no\x1b way", advice="Wait."), "Refused.\nThe CA said: no� way\nWait."),
        (CAError("The CA said no way.", detail="no way"), "The CA said no way."),
    ):
        Output(as_json=False).error(error)
        assert capsys.readouterr().err == f"Error: {said}\n"


def test_without_the_extra_the_command_says_what_to_install(store):
    """Where typer is missing, the command names the extra instead of failing to import."""
    process = store.start("--help", prelude="import sys; sys.modules['typer'] = None")
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said == ""
    assert "certcore[cli]" in complaints
    assert "Traceback" not in complaints


def test_revoking_needs_a_yes_and_a_leaf(store):
    """Without a terminal it wants --yes; what is no reason, and what has no leaf, is refused; nothing is changed."""
    store.inside("cert", "create", "revoke.demo.test", "--authority", "dead")
    assert "--yes" in store("cert", "revoke", "revoke.demo.test", expect=2).stderr
    error = store.json("cert", "revoke", "revoke.demo.test", "--yes", "--reason", "because", expect=1)["error"]
    assert (error["params"]["field"], "key_compromise" in error["message"]) == ("reason", True)
    assert (
        store.json("cert", "revoke", "revoke.demo.test", "--yes", expect=1)["error"]["code"] == "transition_not_allowed"
    )
    assert store.json("cert", "show", "revoke.demo.test")["status"] == "draft"
    store.inside("cert", "delete", "revoke.demo.test", "--yes")


def test_schemas_can_be_printed(certcore):
    """Without a name the kinds are listed; with one, its schema is printed and fits what `cert list` prints."""
    kinds = {kind["name"]: kind["schema"] for kind in certcore.json("schema")["kinds"]}
    assert certcore.json("schema", "rows")["$id"] == kinds["rows"]
    assert certcore.json("schema", "row")["properties"]["conditions"]
    assert certcore.json("schema", "nothing", expect=1)["error"]["code"] == "invalid_input"
