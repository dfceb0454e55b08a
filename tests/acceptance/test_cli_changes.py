"""Importing, exporting, listing and changing certificates with the command."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem

NOW = datetime.now(UTC)


class Files:
    """Leaf, chain and key of a certificate, as files that somebody has got from a CA."""

    def __init__(self, folder, *names, days=90, key_type=KeyType.EC_P256):
        folder.mkdir()
        key = generate_key(key_type)
        csr = build_csr(key, [DnsName(name) for name in names], Subject())
        begun = NOW if days > 0 else NOW - timedelta(days=100)
        chain = LittleAuthority(NOW).issue(csr.decode(), now=begun, lifetime=NOW + timedelta(days=days) - begun)
        leaf, _, rest = chain.partition("-----END CERTIFICATE-----\n")
        self.leaf, self.chain, self.key = folder / "leaf.pem", folder / "chain.pem", folder / "key.pem"
        self.leaf.write_text(f"{leaf}-----END CERTIFICATE-----\n")
        self.chain.write_text(rest)
        self.key.write_bytes(private_key_pem(key))


@pytest.fixture(scope="module")
def imported(store):
    """The command on a store with an imported certificate, and its files."""
    files = Files(store.folder / "bought", "shop.test", "*.shop.test", "www.other.test")
    done = store.json("cert", "import", files.leaf, files.chain, "--key", files.key)
    return store, files, done


def test_an_imported_certificate_is_shown(imported):
    """Status, days remaining, names and the leaf; without a CA profile it says that it is not renewed."""
    store, _, done = imported
    assert (done["status"], done["days_remaining"], done["renews_at"]) == ("active", 89, None)
    assert (done["domain"], done["wildcard"], done["aliases"]) == ("shop.test", True, ["www.other.test"])
    assert done["fields"]["private_key"]["value"] == "sealed"
    assert "Choose one" in store("cert", "hints", "shop.test").stdout
    assert "automatic" not in store("cert", "show", "shop.test").stdout
    again = store("cert", "import", imported[1].leaf, imported[1].key, expect=1)
    assert "is here already" in again.stderr


def test_a_dry_run_stores_nothing(imported):
    """It says what would be done, with what is doubtful."""
    store, _, _ = imported
    files = Files(store.folder / "dry", "dry.test", days=-10)
    told = store.json("cert", "import", files.leaf, files.chain, files.key, "--dry-run")
    assert (told["names"], told["has_key"]) == (["dry.test"], True)
    assert any("expired" in warning or "ended" in warning for warning in told["warnings"])
    assert "dry.test" not in json.dumps(store.json("cert", "list"))


def test_a_certificate_that_has_ended_says_since_when(store):
    """In the words of people; the number in the JSON is rounded down, as it always is."""
    files = Files(store.folder / "ended", "ended.test", days=-2)
    assert "(expired 2 days ago)" in store.inside("cert", "import", files.leaf, files.key).stdout
    assert "(expired 2 days ago)" in store.inside("cert", "show", "ended.test").stdout
    assert store.json("cert", "show", "ended.test")["days_remaining"] == -3
    store.inside("cert", "delete", "ended.test", "--yes")


def test_what_does_not_belong_together_is_refused(imported):
    """Both public-key fingerprints are shown; nothing is stored, and no key is printed."""
    store, files, _ = imported
    other = Files(store.folder / "other", "mixed.test")
    said = store("cert", "import", other.leaf, other.chain, "--key", files.key, expect=1).stderr
    assert said.count("SHA-256") >= 1
    assert "PRIVATE KEY" not in said
    assert "mixed.test" not in json.dumps(store.json("cert", "list"))


@pytest.mark.parametrize("kind", ["pem", "zip", "pkcs12", "pkcs7", "der", "nginx", "apache", "haproxy", "lighttpd"])
def test_every_format_is_written(imported, kind):
    """`cert export --format`: files with the key are for their owner alone, and say where they are."""
    store, _, _ = imported
    out = store.folder / f"out-{kind}"
    password = store.folder / "password"
    password.write_text("correct horse\n")
    protected = ("--password-file", password) if kind == "pkcs12" else ()
    told = store.json("cert", "export", "shop.test", "--out", out, "--format", kind, *protected)
    assert told["files"]
    assert told["changed"]
    for path in out.iterdir():
        if b"PRIVATE KEY" in path.read_bytes() or kind in ("zip", "pkcs12"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_round_trip_is_byte_identical(imported):
    """What was imported comes out again as it was, and goes in again elsewhere."""
    store, files, _ = imported
    out = store.folder / "round"
    store("cert", "export", "shop.test", "--out", out, "--layout", "versioned")
    live = out / "live"
    assert (live / "cert.pem").read_bytes() == files.leaf.read_bytes()
    assert (live / "chain.pem").read_bytes() == files.chain.read_bytes()
    assert (live / "privkey.pem").read_bytes() == files.key.read_bytes()
    copied = store.json("cert", "import", live / "fullchain.pem", live / "privkey.pem", "--owner", "somebody else")
    assert copied["leaf"]["fingerprint_sha256"] == imported[2]["leaf"]["fingerprint_sha256"]
    store("cert", "delete", copied["id"], "--yes")


def test_formats_are_listed(store):
    """Each with what it is, and whether it holds the key."""
    listed = {export_format["name"]: export_format for export_format in store.json("cert", "formats")["formats"]}
    assert listed["pkcs7"]["private_key"] == "never"
    assert listed["pkcs12"]["password"] == "required"
    assert "haproxy" in store("cert", "formats").stdout


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), {"shop.test", "ends.test"}),
        (("--days", "20"), {"ends.test"}),
        (("--days-from", "20"), {"shop.test"}),
        (("--name", "op.te"), {"shop.test"}),
        (("--below", "other.test"), {"shop.test"}),
        (("--key-type", "ec-p384"), {"ends.test"}),
        (("--renews-not", "--status", "active"), {"shop.test", "ends.test"}),
        (("--renews",), set()),
        (("--status", "expired", "--renews-not"), set()),
    ],
)
def test_lists_are_filtered(imported, options, found):
    """Every filter of the library has its option."""
    store, _, _ = imported
    listed = store.json("cert", "list")["certificates"]
    if "ends.test" not in {one["domain"] for one in listed}:
        files = Files(store.folder / "ends", "ends.test", days=10, key_type=KeyType.EC_P384)
        store("cert", "import", files.leaf, files.chain, files.key)
    listed = store.json("cert", "list", *options)["certificates"]
    assert {one["domain"] for one in listed} & {"shop.test", "ends.test"} == found


def test_files_that_cannot_be_read_are_named(imported):
    """A missing file, a folder, one file too many, a password that is not there: the option and a sentence, no bug."""
    store, files, _ = imported
    nothing = store.folder / "nothing"
    for arguments, field in (
        (("import", nothing), "FILE"),
        (("import", store.folder), "FILE"),
        (("import", "~nobody-of-this-name/leaf.pem"), "FILE"),
        (("import", files.leaf, "--key", nothing), "--key"),
        (("import", files.leaf, files.chain, files.key, "--key", files.key), "FILE"),
        (("import", files.leaf, "--password-file", nothing), "--password-file"),
        (("export", "shop.test", "--out", store.folder / "no", "--password-file", nothing), "--password-file"),
        (("create", "--csr", nothing, "--authority", "dead"), "--csr"),
    ):
        error = store.json("cert", *arguments, expect=1)["error"]
        assert (error["code"], error["params"]["field"]) == ("invalid_input", field), arguments
        said = store.inside("cert", *arguments, expect=1).stderr
        assert "bug" not in said
    for arguments, field in (
        (("import", "auto", "~nobody-of-this-name"), "FOLDER"),
        (("dns", "serve", "--zone", "a.test=~nobody-of-this-name/zone"), "--zone"),
        (("init", "--database", "~nobody-of-this-name/certcore.db"), "--database"),
    ):
        error = store.json(*arguments, expect=1)["error"]
        assert (error["code"], error["params"]["field"]) == ("invalid_input", field)
    error = store.json("obtain", "--csr", nothing, "--authority", "dead", expect=1)["error"]
    assert (error["code"], error["params"]["field"]) == ("invalid_input", "--csr")
    assert f"{nothing} cannot be read: No such file" in store("cert", "import", nothing, expect=1).stderr
    assert not (store.folder / "no").exists()


def test_a_list_for_people_says_how_to_go_on(imported):
    """The last line has the cursor for the next page, whole; the last page has no such line."""
    store, _, _ = imported
    others = [store.json("cert", "create", f"page{number}.test", "--authority", "dead")["id"] for number in (1, 2)]
    said = store("cert", "list", "--limit", "1", "--order", "created_at").stdout
    *_, last = said.strip().splitlines()
    assert last.startswith("More: --after ")
    rest = store("cert", "list", "--order", "created_at", *last.removeprefix("More: ").split()).stdout
    domains = {certificate["domain"] for certificate in store.json("cert", "list")["certificates"]}
    assert len([domain for domain in domains if domain in said]) == 1
    assert {domain for domain in domains if domain in rest} == {domain for domain in domains if domain not in said}
    assert "More:" not in rest
    for one in others:
        store.inside("cert", "delete", one, "--yes")


def test_a_list_has_pages(imported):
    """`--limit` and `--after` go through a list in any order."""
    store, _, _ = imported
    seen, cursor = [], ()
    for _ in range(20):
        page = store.json("cert", "list", "--order", "not_after", "--descending", "--limit", "1", *cursor)
        seen += [certificate["id"] for certificate in page["certificates"]]
        if page["next_cursor"] is None:
            break
        cursor = ("--after", page["next_cursor"])
    assert seen == [
        certificate["id"]
        for certificate in store.json("cert", "list", "--order", "not_after", "--descending")["certificates"]
    ]
    assert "another sort order" in store("cert", "list", *cursor, expect=1).stderr


def test_fields_are_edited_by_their_names(imported):
    """`cert edit --set`: subject, renewal, CA profile; what is not given stays; what takes a reissue says so."""
    store, _, _ = imported
    changed = store.json(
        "cert", "edit", "shop.test", "--set", "organization=Shop GmbH", "--set", "days_before=20", "--set", "auto=no"
    )
    assert changed["fields"]["organization"]["value"] == "Shop GmbH"
    assert changed["renewal"] == {"auto": False, "days_before": 20, "rotate_key": True}
    changed = store.json(
        "cert", "edit", "shop.test", "--set", "auto=yes", "--set", "days_before=", "--set", "authority=dead"
    )
    assert changed["renewal"] == {"auto": True, "days_before": None, "rotate_key": True}
    assert (changed["authority"], changed["fields"]["organization"]["value"]) == ("dead", "Shop GmbH")
    assert store.json("cert", "edit", "shop.test", "--set", "authority=")["authority"] == ""
    assert "reissue" in store("cert", "edit", "shop.test", "--set", "aliases=new.test", expect=1).stderr
    assert "yes or no" in store("cert", "edit", "shop.test", "--set", "auto=perhaps", expect=1).stderr
    said = store("cert", "edit", "shop.test", "--set", "days_befor=3", expect=1).stderr
    assert said.startswith("Error: days_befor: ")
    assert {"days_before", "country"} <= set(said.replace(",", " ").split())
    store("cert", "edit", "shop.test", "--set", "authority=dead")
    bound = store("cert", "edit", "shop.test", "--set", "days_befor=3", expect=1).stderr
    assert {"days_before", "country", "challenge"} <= set(bound.replace(",", " ").replace(".", " ").split())
    store("cert", "edit", "shop.test", "--set", "authority=")


def test_a_reissue_begins_and_is_given_up(imported):
    """`cert reissue` with other names, `cert cancel` back to those in service; the leaf stays all the time."""
    store, _, before = imported
    store("cert", "edit", "shop.test", "--set", "authority=dead")
    begun = store.json("cert", "reissue", "shop.test", "--set", "aliases=a.test,b.test", "--set", "wildcard=no")
    assert (begun["status"], begun["names"]) == ("active", ["shop.test", "a.test", "b.test"])
    assert begun["issuance"] is not None
    assert begun["leaf"] == before["leaf"]
    assert "stays in service" in store("cert", "hints", "shop.test").stdout
    given_up = store.json("cert", "cancel", "shop.test")
    assert (given_up["names"], given_up["issuance"]) == (before["names"], None)


def test_a_certificate_is_given_to_another_owner(imported):
    """`cert transfer --preview` shows the new owner's records and changes nothing; without it the owner changes."""
    store, _, _ = imported
    store("cert", "create", "moving.test", "--authority", "dead", "--owner", "anna")
    shown = store.json("cert", "transfer", "moving.test", "--to", "bert", "--preview")["transfer"]
    assert (shown["from"], shown["to"], shown["ends_issuance"]) == ("anna", "bert", False)
    assert [(record["name"], record["type"]) for record in shown["records"]] == [
        ("_acme-challenge.moving.test", "CNAME")
    ]
    assert store.json("cert", "show", "moving.test")["owner"] == "anna"
    said = store("cert", "transfer", "moving.test", "--to", "bert", "--yes").stdout
    assert shown["records"][0]["value"] in said.replace("\n", "")
    assert store.json("cert", "show", "moving.test")["owner"] == "bert"
    assert "owner already" in store("cert", "transfer", "moving.test", "--to", "bert", "--yes", expect=1).stderr


def test_many_certificates_at_once(imported):
    """`cert bulk` has a line for each certificate, goes on after a failure, and ends with 1 then."""
    store, _, _ = imported
    for name in ("one.test", "two.test"):
        store("cert", "create", name, "--authority", "dead")
    told = store("cert", "bulk", "renew", "one.test", "no-such.test", "--json", expect=1)
    results = {row["certificate"]: row for row in json.loads(told.stdout)["results"]}
    assert results["one.test"]["error"]["code"] == "transition_not_allowed"
    assert results["no-such.test"]["error"]["code"] == "not_found"
    assert "done" in store("cert", "bulk", "delete", "one.test", "two.test", "--yes").stdout
    store("cert", "show", "two.test", expect=1)


def test_many_certificates_are_exported(imported):
    """`cert bulk export` makes a directory for each certificate, its key for the owner only; a draft has an error."""
    store, _, _ = imported
    store("cert", "create", "draft.test", "--authority", "dead")
    told = store("cert", "bulk", "export", "shop.test", "draft.test", "--out", "all", "--json", expect=1)
    results = {row["certificate"]: row for row in json.loads(told.stdout)["results"]}
    assert results["draft.test"]["error"]["code"] == "not_issued"
    key = store.folder / "all/shop.test/privkey.pem"
    assert results["shop.test"]["files"]["privkey"] == str(key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert "certcore cert bulk export" in store("cert", "timeline", "shop.test", "--json").stdout
    store("cert", "bulk", "export", "shop.test", "--out", "public", "--without-key")
    assert (store.folder / "public/shop.test/fullchain.pem").exists()
    assert not (store.folder / "public/shop.test/privkey.pem").exists()


def test_copies_and_own_requests(imported):
    """`cert clone` copies the form; `cert create --csr` takes names and key type from the request."""
    store, _, _ = imported
    copied = store.json("cert", "clone", "shop.test", "--domain", "copy.test")
    assert (copied["names"], copied["status"]) == (["copy.test", "*.copy.test"], "draft")
    request = store.folder / "request.pem"
    request.write_bytes(
        build_csr(generate_key(KeyType.RSA_3072), [DnsName("own.test"), DnsName("www.own.test")], Subject())
    )
    made = store.json("cert", "create", "--csr", request, "--authority", "dead")
    assert (made["names"], made["key_type"]) == (["own.test", "www.own.test"], "rsa-3072")
    started = store.json("cert", "csr", "own.test")
    assert started["issuance"]["csr_pem"] == request.read_text()
    assert store.json("cert", "draft", "own.test")["status"] == "draft"


def test_a_copy_without_a_ca_profile_says_what_comes_first(store):
    """What `cert clone` prints can be typed, in this order."""
    files = Files(store.folder / "loose", "loose.test")
    store("cert", "import", files.leaf, files.chain, files.key)
    said = store("cert", "clone", "loose.test", "--domain", "loose-copy.test").stdout
    assert "certcore cert edit loose-copy.test --set authority=" in said
    assert said.index("cert edit") < said.index("cert csr")
    store("cert", "edit", "loose-copy.test", "--set", "authority=dead")
    assert "cert edit" not in store("cert", "clone", "loose-copy.test", "--domain", "third.test").stdout
    store("cert", "csr", "loose-copy.test")


def test_moving_in_again_shows_the_ca_profile_that_it_has(store):
    """A certificate that is there already and bound is shown with its CA profile, also one that was not named."""
    files = Files(store.folder / "moves", "moves.test")
    folder = store.folder / "letsencrypt"
    lineage = folder / "live" / "moves.test"
    lineage.mkdir(parents=True)
    for name, path in (("cert", files.leaf), ("chain", files.chain), ("privkey", files.key)):
        (lineage / f"{name}.pem").write_text(path.read_text())
    (lineage / "fullchain.pem").write_text(files.leaf.read_text() + files.chain.read_text())
    (folder / "renewal").mkdir()
    (folder / "renewal" / "moves.test.conf").write_text(
        "version = 2.1.0\n[renewalparams]\nauthenticator = webroot\nserver = https://127.0.0.1:1/dir\n"
    )
    (first,) = store.json("import", "certbot", folder)["certificates"]
    assert (first["outcome"], first["authority"]) == ("imported", "dead")
    store.json("authority", "add", "other", "--module", "puq_acme", "--set", "tech_zone=acme.panel.test")
    for more in ((), ("--dry-run",), ("--authority", "other")):
        (again,) = store.json("import", "certbot", folder, *more)["certificates"]
        assert (again["outcome"], again["authority"], again["id"]) == ("already_there", "dead", first["id"])


def test_a_folder_of_nobody_is_refused(store):
    """Other programs have folders with a file of the same name in them, too."""
    folder = store.folder / "etc"
    (folder / "fonts").mkdir(parents=True)
    (folder / "fonts" / "fonts.conf").write_text("<fontconfig/>")
    assert "is not the data directory of" in store.inside("import", "auto", folder, expect=1).stderr
    assert "There is nothing of acme.sh in" in store.inside("import", "acme.sh", folder, expect=1).stderr


def test_obtaining_says_why_it_did_not_work(imported):
    """`obtain` ends with 1 and the reason when its time is over."""
    store, _, _ = imported
    failed = store.json("obtain", "never.test", "--authority", "dead", "--timeout", "2", expect=1)
    assert failed["error"]["code"] == "not_obtained"
    assert failed["error"]["params"]["domain"] == "never.test"
