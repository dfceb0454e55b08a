"""Targets from a file: what is written there is what is made, and what is wrong is named."""

import os
import re
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from certcore.contrib.deploy.files import DeployFiles, Layout
from certcore.contrib.mail.notifier import Mail, Security
from certcore.contrib.targets import Targets, load_targets, read_targets
from certcore.contrib.webhook import Webhook
from certcore.errors import InvalidInputError
from certcore.model.events import EventKind
from certcore.model.notice_policy import NoticePolicy
from certcore.model.secret import Secret

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")

ALL = """
[[mail]]
name = "operators"
host = "mail.example"
port = 2525
security = "tls"
ca_file = "roots.pem"
username = "certcore"
password_env = "TEST_MAIL_PASSWORD"
sender = "certcore@panel.example"
to = ["ops@panel.example"]
kinds = ["expired"]
timeout = 2.5

[[deploy]]
name = "web"
folder = "/etc/ssl/sites/{name}"
format = "nginx"
layout = "versioned"
owner = "root"
group = 33
secret_mode = "0640"
keep = 3
domains = ["shop.example", ".panel.example"]
owners = ["customer-7"]
authorities = ["letsencrypt"]
command = ["/usr/bin/systemctl", "reload", "nginx"]
command_timeout = 5

[[deploy]]
name = "java"
folder = "/srv/java"
format = "pkcs12"
password_file = "store.password"

[[deploy]]
name = "public"
folder = "/srv/public/{id}"
with_key = false

[[webhook]]
name = "panel"
url = "https://panel.example/hook"
secret_file = ["new.secret", "old.secret"]
kinds = ["installed", "deleted"]
ca_file = "/etc/ssl/roots.pem"
connect_timeout = 1
read_timeout = 2

[[webhook]]
name = "log"
url = "http://log.example/hook"
allow_http = true
"""


@pytest.fixture
def load(tmp_path):
    """Loads a text as a file of targets, beside files with secrets."""
    for name, content in (
        ("store.password", "canary-store\n"),
        ("new.secret", "canary-secret-new\n"),
        ("old.secret", "canary-secret-old\n"),
        ("short.secret", "canary"),
        ("empty.secret", " \n"),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)

    def load_text(text):
        path = tmp_path / "targets.toml"
        path.write_text(text)
        path.chmod(0o644)
        return load_targets(path)

    return load_text


def test_a_whole_file(load, tmp_path, monkeypatch):
    """Every key ends in the field of its name, secrets come from files and variables, paths are the file's own."""
    monkeypatch.setenv("TEST_MAIL_PASSWORD", "canary-mail")
    web, java, public, panel, log, operators = load(ALL)
    assert isinstance(web, DeployFiles)
    assert (web.name, web.folder, web.format.name) == ("web", "/etc/ssl/sites/{name}", "nginx")
    assert (web.layout, web.owner, web.group, web.secret_mode, web.keep) == (Layout.VERSIONED, "root", 33, 0o640, 3)
    assert web.domains == ("shop.example", ".panel.example")
    assert (web.owners, web.authorities) == (("customer-7",), ("letsencrypt",))
    assert (web.command, web.command_timeout) == (("/usr/bin/systemctl", "reload", "nginx"), 5)
    assert java.password == Secret("canary-store")
    assert not public.with_key
    assert isinstance(panel, Webhook)
    assert panel.secrets == (Secret("canary-secret-new"), Secret("canary-secret-old"))
    assert panel.kinds == {EventKind.INSTALLED, EventKind.DELETED}
    assert (str(panel.ca_file), panel.connect_timeout, panel.read_timeout) == ("/etc/ssl/roots.pem", 1, 2)
    assert log.allow_http
    assert isinstance(operators, Mail)
    assert (operators.host, operators.port, operators.security) == ("mail.example", 2525, Security.TLS)
    assert (operators.username, operators.password) == ("certcore", Secret("canary-mail"))
    assert operators.ca_file == tmp_path / "roots.pem"
    assert (operators.to, operators.kinds, operators.timeout) == (("ops@panel.example",), {EventKind.EXPIRED}, 2.5)
    assert "canary" not in repr((web, java, public, panel, log, operators))


def test_nothing_in_it(load):
    """An empty file has no targets."""
    assert load("") == ()
    assert load("# later\n") == ()


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", None),
        ("[notices]\n", NoticePolicy()),
        ("[notices]\ndays_before = []\n", NoticePolicy(days_before=())),
        (
            "[notices]\ndays_before = [1, 30]\nafter_failures = 5\nfailing_for = '36h'\n",
            NoticePolicy(days_before=(30, 1), after_failures=5, failing_for=timedelta(hours=36)),
        ),
        ("[notices]\nfailing_for = '90m'\n", NoticePolicy(failing_for=timedelta(minutes=90))),
        ("[notices]\nfailing_for = '2 d'\n", NoticePolicy(failing_for=timedelta(days=2))),
        ("[notices]\nfailing_for = '0m'\n", NoticePolicy(failing_for=timedelta(0))),
    ],
)
def test_notices(load, tmp_path, text, policy):
    """The table makes the policy; what is not given is as in Python, and without a table nothing is said."""
    assert load(text) == ()
    assert read_targets(tmp_path / "targets.toml") == Targets(plugins=(), notices=policy)


def test_every_field_of_the_policy_has_a_key(load, tmp_path):
    """One that is added to `NoticePolicy` is not forgotten here."""
    values = {"days_before": "[3]", "after_failures": "4", "failing_for": "'5h'"}
    load("[notices]\n" + "".join(f"{field.name} = {values[field.name]}\n" for field in attrs.fields(NoticePolicy)))
    policy = read_targets(tmp_path / "targets.toml").notices
    assert attrs.astuple(policy) == ((3,), 4, timedelta(hours=5))


DEPLOY = '[[deploy]]\nname = "web"\nfolder = "/srv/x"\n'
WEBHOOK = '[[webhook]]\nname = "panel"\nurl = "https://panel.example/"\n'
MAIL = '[[mail]]\nname = "ops"\nhost = "mail.example"\nsender = "a@b.example"\nto = ["c@d.example"]\n'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("deploy = 1", "[[deploy]]"),
        ("[deploy]\nname = 'web'", "[[deploy]]"),
        ("deploy = [1]", "[[deploy]]"),
        ("notices = 1", "[notices]"),
        ("[[notices]]\ndays_before = [3]", "[notices]"),
        ("[notices]\ndays = [3]", "[notices], days"),
        ("[notices]\ndays_before = 30", "[notices], days_before"),
        ("[notices]\ndays_before = '30'", "[notices], days_before"),
        ("[notices]\ndays_before = {}", "[notices], days_before"),
        ("[notices]\ndays_before = [30, 'x']", "[notices], days_before"),
        ("[notices]\ndays_before = [[30]]", "[notices], days_before"),
        ("[notices]\ndays_before = [0]", "[notices], days_before"),
        ("[notices]\ndays_before = [1.5]", "[notices], days_before"),
        ("[notices]\ndays_before = [true]", "[notices], days_before"),
        ("[notices]\nafter_failures = 0", "[notices], after_failures"),
        ("[notices]\nafter_failures = '3'", "[notices], after_failures"),
        ("[notices]\nfailing_for = 24", "[notices], failing_for"),
        ("[notices]\nfailing_for = 'a day'", "[notices], failing_for"),
        ("[notices]\nfailing_for = '-1d'", "[notices], failing_for"),
        ("[notices]\nfailing_for = '999999999999d'", "[notices], failing_for"),
        ("[[deploys]]\nname = 'web'", "targets"),
        ("verbose = true", "targets"),
        ("[[deploy]", "targets"),
        ("a = " + "[" * 10_000, "targets"),
        ("[[deploy]]\n", "[[deploy]] number 1, name"),
        (DEPLOY + "[[deploy]]\nname = 'second'", "[[deploy]] second, folder"),
        (DEPLOY + "[[deploy]]\nfolder = '/x'", "[[deploy]] number 2, name"),
        ("[[deploy]]\nname = 7\nfolder = '/x'", "[[deploy]] number 1, name"),
        (DEPLOY + "colour = 'red'", "[[deploy]] web, colour"),
        (DEPLOY + "password = 'canary'", "[[deploy]] web, password"),
        (DEPLOY + "secret_file = 'new.secret'", "[[deploy]] web, secret_file"),
        (DEPLOY + "format = 7", "[[deploy]] web, format"),
        (DEPLOY + "format = 'jks'", "[[deploy]] web, format"),
        (DEPLOY + "layout = 'flat'", "[[deploy]] web, layout"),
        (DEPLOY + "with_key = 'no'", "[[deploy]] web, with_key"),
        (DEPLOY + "owner = true", "[[deploy]] web, owner"),
        (DEPLOY + "secret_mode = 640", "[[deploy]] web, secret_mode"),
        (DEPLOY + "secret_mode = 0o640", "[[deploy]] web, secret_mode"),
        (DEPLOY + "secret_mode = '0649'", "[[deploy]] web, secret_mode"),
        (DEPLOY + "secret_mode = '0644'", "[[deploy]] web, secret_mode"),
        (DEPLOY + "keep = 1.5", "[[deploy]] web, keep"),
        (DEPLOY + "keep = true", "[[deploy]] web, keep"),
        (DEPLOY + "domains = 'shop.example'", "[[deploy]] web, domains"),
        (DEPLOY + "domains = []", "[[deploy]] web, domains"),
        (DEPLOY + "command = 'systemctl reload nginx'", "[[deploy]] web, command"),
        (DEPLOY + "command = ['systemctl']", "[[deploy]] web, command"),
        (DEPLOY + "command_timeout = '5'", "[[deploy]] web, command_timeout"),
        (DEPLOY + "password_file = 7", "[[deploy]] web, password_file"),
        (DEPLOY + "password_file = ''", "[[deploy]] web, password_file"),
        (DEPLOY + "password_file = []", "[[deploy]] web, password_file"),
        (DEPLOY + "password_file = 'missing'", "[[deploy]] web, password_file"),
        (DEPLOY + "password_file = 'empty.secret'", "[[deploy]] web, password_file"),
        (DEPLOY + "password_file = '.'", "[[deploy]] web, password_file"),
        (DEPLOY + 'password_file = "a\\u0000b"', "[[deploy]] web, password_file"),
        (DEPLOY + "password_file = ['new.secret', 'old.secret']", "[[deploy]] web, password"),
        (DEPLOY + "password_env = 'TEST_NOT_SET'", "[[deploy]] web, password_env"),
        (DEPLOY + "password_file = 'new.secret'\npassword_env = 'HOME'", "[[deploy]] web, password_env"),
        (DEPLOY + DEPLOY, "[[deploy]] web, name"),
        (DEPLOY + WEBHOOK.replace("panel", "web", 1), "[[webhook]] web, name"),
        (WEBHOOK + "url_file = 'x'", "[[webhook]] panel, url_file"),
        (WEBHOOK + "secret_file = 'short.secret'", "[[webhook]] panel, secrets"),
        (WEBHOOK + "environment = 'x'", "[[webhook]] panel, environment"),
        (WEBHOOK + "kinds = ['exploded']", "[[webhook]] panel, kinds"),
        (MAIL + "address_of = 'x'", "[[mail]] ops, address_of"),
        (MAIL + "port = '25'", "[[mail]] ops, port"),
        (MAIL + "username = 'x'", "[[mail]] ops, password"),
        (MAIL.replace("c@d.example", "c"), "[[mail]] ops, to"),
    ],
)
def test_what_is_wrong_is_named(load, text, where):
    """By the table, its name or number, and the key; no secret is in the sentence."""
    with pytest.raises(InvalidInputError) as refused:
        load(text)
    assert refused.value.field == where
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("mode", "good"), [(0o600, True), (0o640, True), (0o400, True), (0o604, False), (0o660, False)]
)
def test_secrets_that_others_can_read_are_refused(load, tmp_path, mode, good):
    """A group may read one; the sentence says which command helps."""
    (tmp_path / "new.secret").chmod(mode)
    text = WEBHOOK + "secret_file = 'new.secret'"
    if good:
        assert load(text)[0].secrets
        return
    with pytest.raises(InvalidInputError, match="other users can access") as refused:
        load(text)
    assert f"chmod {mode & 0o750:04o} {tmp_path}/new.secret" in refused.value.advice


def test_a_file_that_others_can_write_to_is_refused(load, tmp_path):
    """Whoever can write to it says which commands are run."""
    load(DEPLOY)
    path = tmp_path / "targets.toml"
    for mode in (0o664, 0o646):
        path.chmod(mode)
        with pytest.raises(InvalidInputError, match=f"mode {mode:04o}") as refused:
            load_targets(path)
        assert f"chmod 0644 {path}" in refused.value.advice


@needs_root
def test_files_of_other_users_are_refused(load, tmp_path):
    """The file of targets and the files of secrets must belong to this user or to root."""
    load(WEBHOOK + "secret_file = 'new.secret'")
    for name in ("new.secret", "targets.toml"):
        os.chown(tmp_path / name, 12345, 12345)
        with pytest.raises(InvalidInputError, match="another user"):
            load_targets(tmp_path / "targets.toml")
        os.chown(tmp_path / name, 0, 0)


def test_what_is_no_file_of_targets(tmp_path):
    """A missing file, a folder, a pipe, something large, other text: a sentence, and nothing is waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * 2_000_000)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("pipe", "large", "bytes"):
        (tmp_path / name).chmod(0o600)
    for name in ("missing", ".", "pipe", "large", "bytes", "missing/\0"):
        with pytest.raises(InvalidInputError, match=r"^targets: "):
            load_targets(tmp_path / name)


@pytest.mark.parametrize("page", ["deploy-certificates", "get-notices"])
def test_the_files_in_the_docs_are_good(load, tmp_path, page):
    """What the how-tos print can be used as it is."""
    for name in ("java.password", "mail.password", "webhook.secret"):
        (tmp_path / name).write_text("0123456789abcdef\n")
        (tmp_path / name).chmod(0o600)
    text = (Path(__file__).parents[3] / f"docs/how-to/{page}.md").read_text(encoding="utf-8")
    (file,) = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(load(file)) > 1
