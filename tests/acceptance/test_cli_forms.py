"""New certificates with all the fields of the form: `cert create` and `obtain` take what `cert edit` takes."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key


def _request(path, *names):
    path.write_bytes(build_csr(generate_key(KeyType.EC_P384), [DnsName(name) for name in names], Subject()))
    return path


def test_a_draft_is_created_with_every_field(store):
    """Subject, renewal, owner, names, fallbacks and the CA module's own fields, each by its name."""
    settings = ("--set", "tech_zone=acme.panel.test", "--set", "dns_servers=127.0.0.1")
    other = store.json("authority", "add", "other", "--module", "puq_acme", *settings)["id"]
    made = store.json(
        *("cert", "create", "form.test", "--authority", "dead", "--owner", "customer-7"),
        *("--set", "organization=Shop GmbH", "--set", "country=DE", "--set", "email=me@form.test"),
        *("--set", "days_before=20", "--set", "auto=no", "--set", "rotate_key=no", "--set", "fallbacks=other"),
        *("--set", "aliases=a.form.test,b.form.test", "--set", "wildcard=yes", "--set", "key_type=ec-p384"),
        *("--set", "challenge=dns-01"),
    )
    assert made["owner"] == "customer-7"
    assert made["renewal"] == {"auto": False, "days_before": 20, "rotate_key": False}
    assert made["names"] == ["form.test", "*.form.test", "a.form.test", "b.form.test"]
    assert made["authority"] == "dead"
    fields = {name: one["value"] for name, one in store.json("cert", "show", made["id"])["fields"].items()}
    assert (fields["organization"], fields["country"], fields["email"]) == ("Shop GmbH", "DE", "me@form.test")
    assert (fields["key_type"], fields["fallbacks"]) == ("ec-p384", [other])
    assert fields["module_data"]["challenge"] == "dns-01"
    named = store.json("cert", "create", "named.test", "--set", "authority=other", "--set", "owner=customer-8")
    assert (named["authority"], named["owner"]) == ("other", "customer-8")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (("auto=perhaps",), "yes or no"),
        (("days_before=soon",), "whole number"),
        (("days_before=" + "9" * 5000,), "whole number"),
        (("nonsense=1",), "nonsense"),
        (("status=active",), "status"),
        (("fallbacks=nobody",), "nobody"),
        (("aliases=@missing",), "cannot be read"),
    ],
)
def test_a_field_that_is_wrong_is_named(store, settings, named):
    """Nothing is created, and it is no bug; `obtain` says the same and begins nothing."""
    pairs = [part for setting in settings for part in ("--set", setting)]
    before = len(store.json("cert", "list")["certificates"])
    for command in (("cert", "create"), ("obtain",)):
        said = store.inside(*command, "wrong.test", "--authority", "dead", *pairs, expect=1).stderr
        assert named in said
        assert "bug" not in said
    assert len(store.json("cert", "list")["certificates"]) == before


def test_a_field_is_given_in_one_way(store):
    """By its option or by --set; both are wrong usage."""
    for command in (("cert", "create"), ("obtain",)):
        both = ("--key-type", "ec-p256", "--set", "key_type=ec-p384")
        done = store.inside(*command, "twice.test", "--authority", "dead", *both, expect=2)
        assert "key_type is given twice" in done.stderr
    assert "--authority" in store.inside("cert", "create", "none.test", expect=2).stderr


def test_obtain_takes_the_form(store):
    """What `obtain` begins has the owner and the fields that were given, and the names of a request of one's own."""
    failed = store.json(
        *("obtain", "begun.test", "--authority", "dead", "--timeout", "1", "--owner", "customer-7"),
        *("--set", "organization=Shop GmbH", "--set", "auto=no"),
        expect=1,
    )["error"]
    shown = store.json("cert", "show", failed["params"]["certificate_id"])
    assert (shown["owner"], shown["renewal"]["auto"]) == ("customer-7", False)
    assert shown["fields"]["organization"]["value"] == "Shop GmbH"
    request = _request(store.folder / "own.pem", "own.begun.test")
    own = ("obtain", "--csr", request, "--authority", "dead", "--timeout", "1")
    failed = store.json(*own, expect=1)["error"]
    shown = store.json("cert", "show", failed["params"]["certificate_id"])
    assert (shown["names"], shown["issuance"]["csr_pem"]) == (["own.begun.test"], request.read_text())
    assert store.json(*own, expect=1)["error"]["params"]["certificate_id"] == failed["params"]["certificate_id"]


def test_a_request_may_be_der(store):
    """`--csr` takes what `create(csr=…)` takes."""
    request = _request(store.folder / "der.pem", "der.test")
    request.write_bytes(x509.load_pem_x509_csr(request.read_bytes()).public_bytes(Encoding.DER))
    assert store.json("cert", "create", "--csr", request, "--authority", "dead")["names"] == ["der.test"]
