"""The parsers are lenient, the signatures are right, and secrets stay out of sight."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import time
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from josepy.jws import JWS

from certcore.errors import CAError, CertCoreError, InvalidInputError, UnreadablePemError
from certcore_puq_acme.profile.presets import PRESETS
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import (
    AccountSigner,
    ExternalAccountBinding,
    b64url,
    generate_account_key,
    load_account_key,
)
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn
from certcore_puq_acme.protocol.resources import (
    MAX_RETRY_AFTER,
    Account,
    Authorization,
    Challenge,
    Directory,
    Order,
    alternates,
    parse_retry_after,
)
from support.examples import examples
from support.keys import rsa_key

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
MEMBERS = st.sampled_from(
    (
        *("status", "type", "url", "token", "error", "identifier", "identifiers", "value", "authorizations"),
        *("certificate", "challenges", "wildcard", "newNonce", "newAccount", "newOrder", "meta", "profiles", "contact"),
        *("finalize", "caaIdentities", "orders", "subproblems", "detail", "instance", "expires"),
    )
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS | st.text(), inner, max_size=8)
)
OBJECTS = st.dictionaries(MEMBERS, JSON, max_size=12)


def pem_of(key: Any, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))


@examples(200, deadline=None)
@given(JSON | OBJECTS)
def test_no_json_breaks_a_parser(document: object) -> None:
    """Whatever JSON a server sends, a parser returns a value or raises a ProtocolError."""
    parsers = (
        Directory.from_json,
        lambda found: Account.from_json(found, url="u"),
        lambda found: Order.from_json(found, url="u"),
        lambda found: Authorization.from_json(found, url="u"),
        Challenge.from_json,
        ProblemDocument.from_json,
    )
    for parse in parsers:
        with contextlib.suppress(ProtocolError):
            value = parse(document)
            assert hash(value) == hash(value)
            assert repr(value)


@examples(400, deadline=None)
@given(st.text() | st.from_regex(r"\A-?\d{1,12}\Z") | st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %T GMT")))
def test_no_retry_after_breaks_us(value: str) -> None:
    """Whatever Retry-After says, the wait is None or between nothing and one day."""
    wait = parse_retry_after(value, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_http_dates_do_not_depend_on_the_local_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An HTTP-date counts from the reply's Date, in whatever time zone the process lives."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        date = "Fri, 31 Dec 2027 23:59:30 GMT"
        assert parse_retry_after("Sat, 01 Jan 2028 00:00:30 GMT", date=date) == 60
        assert parse_retry_after("Sat Jan  1 00:00:30 2028", date=date) == 60
        assert parse_retry_after("Saturday, 01-Jan-28 00:00:30 GMT", date=date) == 60
        assert parse_retry_after("Sat, 01 Jan 2028 02:00:30 +0200", date=date) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


def test_retry_after_falls_back_to_the_clock() -> None:
    """Without a Date header the caller's clock counts; without that either there is no answer."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_retry_after("Thu, 01 Jan 2026 00:02:00 GMT", now=now) == 120
    assert parse_retry_after("Thu, 01 Jan 2026 00:02:00 GMT") is None
    assert parse_retry_after("Thu, 01 Jan 2026 00:02:00 GMT", date="nonsense", now=now + timedelta(days=1)) == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("000000000007", 7.0),
        ("86401", 86400.0),
        ("9" * 5000, 86400.0),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("", None),
    ],
)
def test_delta_seconds(value: str, seconds: float | None) -> None:
    """Delta-seconds are digits and nothing else, at most one day."""
    assert parse_retry_after(value) == seconds


def test_unknown_words_are_kept() -> None:
    """Statuses, identifier types and challenge types that nobody knows are no error."""
    found = Authorization.from_json(
        {
            "status": "hibernating",
            "identifier": {"type": "carrier-pigeon", "value": "coo"},
            "challenges": [{"type": "dns-persist-01", "issuer-domain-names": []}, "noise", {"token": "no type"}, None],
        },
        url="https://ca.test/authz/1",
    )
    assert (found.status, found.identifier, found.wildcard) == ("hibernating", "coo", False)
    assert [challenge.type for challenge in found.challenges] == ["dns-persist-01"]
    assert found.challenge("dns-persist-01") is None
    assert Order.from_json(
        {"status": "resting", "identifiers": [{"type": "x", "value": "y"}, 7]}, url="u"
    ).identifiers == ("y",)


def test_an_invalid_authorization_without_an_error_stays_invalid() -> None:
    """The status of an authorization is what counts, whether or not a challenge says why."""
    found = Authorization.from_json(
        {
            "status": "invalid",
            "identifier": {"type": "dns", "value": "a.test"},
            "challenges": [{"type": "dns-01", "url": "u", "status": "invalid", "token": "t"}],
        },
        url="u",
    )
    assert found.status == "invalid"
    assert found.problem is None


def test_a_wildcard_is_told_from_its_base_name() -> None:
    """A wildcard's authorization carries the base name and a mark, also from a server that repeats the asterisk."""
    as_due = {"status": "pending", "identifier": {"type": "dns", "value": "a.test"}, "wildcard": True}
    odd = {"status": "pending", "identifier": {"type": "dns", "value": "*.a.test"}}
    for document in (as_due, odd):
        found = Authorization.from_json(document, url="u")
        assert (found.identifier, found.wildcard) == ("a.test", True)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "status"),
        ({"status": 7}, "status"),
        ({"status": "pending", "finalize": "u"}, "authorizations"),
        ({"status": "pending", "authorizations": ["u"]}, "finalize"),
        ({"status": "ready"}, "finalize"),
        ({"status": "valid"}, "certificate"),
    ],
)
def test_an_order_says_what_it_lacks(document: dict[str, Any], field: str) -> None:
    """An order without what its status promises is refused, and the error names the resource and the field."""
    with pytest.raises(ProtocolError) as caught:
        Order.from_json(document, url="u")
    assert (caught.value.resource, caught.value.field) == ("order", field)
    assert isinstance(caught.value, CAError)
    assert str(caught.value) == f"The CA sent an order without a usable '{field}'. This is a fault of the CA's server."


def test_an_order_keeps_its_subproblems() -> None:
    """Each identifier's problem in a failed order is kept, and absurd statuses are dropped."""
    error = {
        "type": "urn:ietf:params:acme:error:compound",
        "status": 10**30,
        "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "identifier": {"type": "dns", "value": "a.test"}}],
    }
    problem = Order.from_json({"status": "invalid", "error": error}, url="u").problem
    assert problem is not None
    assert problem.status is None
    assert [(subproblem.identifier, subproblem.acme_type) for subproblem in problem.subproblems] == [("a.test", "caa")]


def test_alternate_links() -> None:
    """Alternate chains are found among other links, quoted or not, in one header or several."""
    headers = [
        '<https://ca.test/dir>;rel="index", <https://ca.test/c/1>;title="x";rel="alternate"',
        "<https://ca.test/c/2>; rel=alternate",
        '<https://ca.test/c/1>;rel="alternate"',
        '<https://ca.test/c/3>;rel="alternative"',
        '<https://ca.test/c/4>;rel="up"',
    ]
    assert alternates(headers) == ("https://ca.test/c/1", "https://ca.test/c/2")


@pytest.mark.parametrize("made", ["p256", "p384", "rsa"])
def test_signatures_verify(made: str) -> None:
    """A JWS of ours verifies with josepy's own JWS, for every kind of account key."""
    if made == "p256":
        pem = generate_account_key()
    elif made == "p384":
        pem = pem_of(ec.generate_private_key(ec.SECP384R1()))
    else:
        pem = pem_of(rsa_key())
    key = load_account_key(pem)
    signer = AccountSigner(key)
    signed = signer.sign(b'{"a":1}', url="https://ca.test/x", nonce="n", kid="https://ca.test/acct/1")
    document = json.loads(signed)
    head = json.loads(urlsafe_b64decode(document["protected"] + "=="))
    assert head == {"alg": signer.alg, "url": "https://ca.test/x", "nonce": "n", "kid": "https://ca.test/acct/1"}
    parsed = JWS.from_json({name: document[name] for name in ("protected", "payload", "signature")})
    assert parsed.verify(key.public_key())
    assert signer.thumbprint == b64url(key.thumbprint())


def test_the_jwk_never_holds_private_members() -> None:
    """A signed request carries the public key only."""
    signer = AccountSigner(load_account_key(generate_account_key()))
    assert set(signer.jwk) == {"kty", "crv", "x", "y"}
    assert set(AccountSigner(load_account_key(pem_of(rsa_key()))).jwk) == {"kty", "n", "e"}


def test_thumbprint_of_rfc_7638() -> None:
    """The dns-01 value is the digest of token and thumbprint, as RFC 8555 section 8.4 computes it."""
    key = load_account_key(generate_account_key())
    client = AcmeClient("https://ca.test/dir", key=key, http=Http())
    jwk = key.public_key().to_json()
    canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    thumbprint = b64url(hashlib.sha256(canonical.encode()).digest())
    assert client.key_authorization("tok") == f"tok.{thumbprint}"
    assert client.dns01_value("tok") == b64url(hashlib.sha256(f"tok.{thumbprint}".encode()).digest())


def test_external_account_binding() -> None:
    """The binding is an HS256 JWS over the account's public key, with the CA's key id and the newAccount URL."""
    secret = os.urandom(32)
    signer = AccountSigner(load_account_key(generate_account_key()))
    bound = signer.bind(ExternalAccountBinding(kid="kid-1", hmac_key=b64url(secret)), "https://ca.test/new-acct")
    head = json.loads(urlsafe_b64decode(bound["protected"] + "=="))
    assert head == {"alg": "HS256", "kid": "kid-1", "url": "https://ca.test/new-acct"}
    assert json.loads(urlsafe_b64decode(bound["payload"] + "==")) == signer.jwk
    signature = hmac.digest(secret, f"{bound['protected']}.{bound['payload']}".encode(), "sha256")
    assert bound["signature"] == b64url(signature)


@pytest.mark.parametrize("text", ["", "====", "not*base64", "ä", "a"])
def test_a_bad_hmac_key_is_refused_without_being_shown(text: str) -> None:
    """A mistyped HMAC key is refused at the door, and the error does not repeat it."""
    with pytest.raises(InvalidInputError) as caught:
        ExternalAccountBinding(kid="k", hmac_key=text)
    assert caught.value.field == "eab_hmac_key"
    assert len(text) < 2 or text not in str(caught.value)


def test_hmac_keys_as_people_paste_them() -> None:
    """Padding, the other base64 alphabet and line breaks in a pasted HMAC key do no harm."""
    key = bytes(range(240, 256)) * 2
    plain = b64url(key)
    for text in (plain, plain + "=", plain.replace("-", "+").replace("_", "/"), f" {plain[:20]}\n{plain[20:]}\n"):
        assert ExternalAccountBinding(kid="k", hmac_key=text).key_bytes() == key


def test_secrets_are_in_no_repr() -> None:
    """Neither a key nor an HMAC key shows in the text of the objects that hold them."""
    pem = generate_account_key()
    key = load_account_key(pem)
    number = key.key.private_numbers().private_value
    eab = ExternalAccountBinding(kid="k", hmac_key=b64url(b"canary" * 4))
    shown = repr((AcmeClient("https://ca.test/d", key=key, http=Http()), AccountSigner(key), eab, Http()))
    assert str(number) not in shown
    assert b64url(number.to_bytes(32, "big")) not in shown
    assert eab.hmac_key not in shown


def test_account_keys_that_are_refused() -> None:
    """Keys that no CA takes, encrypted keys and other texts are refused with an error of ours."""
    for pem in (b"", b"nonsense", pem_of(ec.generate_private_key(ec.SECP256R1()), b"password")):
        with pytest.raises(UnreadablePemError):
            load_account_key(pem)
    for key in (ec.generate_private_key(ec.SECP521R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(InvalidInputError):
            load_account_key(pem_of(key))


def test_a_client_without_key_or_account_says_so() -> None:
    """Requests that need a key or an account are refused before anything is sent."""
    http = Http()
    with pytest.raises(InvalidInputError, match="account key"):
        AcmeClient("https://ca.test/d", http=http).dns01_value("t")
    client = AcmeClient("https://ca.test/d", key=load_account_key(generate_account_key()), http=http)
    with pytest.raises(InvalidInputError, match="new_account"):
        client.account()
    assert client.requests_sent == 0


def test_errors_are_plain_data() -> None:
    """Each error gives its data for JSON, and is part of certcore's one tree."""
    problem = ProblemDocument.from_json({"type": error_urn("rateLimited"), "detail": "too many", "status": 400})
    assert problem is not None
    refused = AcmeProblemError(problem, status=429, host="ca.test", retry_after=30.0)
    failed = TransportError("refused", "The CA's server at ca.test refused the connection.", host="ca.test")
    for error in (refused, failed, ProtocolError("order", "status")):
        assert isinstance(error, CertCoreError)
        json.dumps(error.as_dict())
    assert (refused.status, refused.as_dict()["params"]["status"], refused.acme_type) == (429, 429, "rateLimited")
    said = "The CA at ca.test refuses because of too many requests. The CA said: too many"
    assert (refused.message, str(refused)) == (said, f"{said} {refused.advice}")
    assert failed.as_dict()["params"]["kind"] == "refused"


def test_presets() -> None:
    """Every preset is filed under its own name and has an https URL; those that need a binding say so."""
    assert all(name == preset.name and preset.url.startswith("https://") for name, preset in PRESETS.items())
    assert [name for name, preset in PRESETS.items() if preset.eab_required] == ["zerossl", "google"]
