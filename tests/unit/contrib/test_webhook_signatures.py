"""Signatures of webhooks: with each secret, over the moment and the body."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from certcore.contrib.webhook import SIGNATURE_HEADER, verify_signature
from certcore.errors import InvalidInputError
from certcore.model.secret import Secret
from support.webhook_receivers import NOW, OTHER, SECRET, hook


def test_requests_are_signed(open_place, receiver):
    """With each secret, over the moment of the request and the body; the id of the event is a header, too."""
    place = open_place()
    certificate_id = place.issued()
    target = hook(receiver.url(), secrets=[OTHER, SECRET], environment=place.environment)
    event = place.event(certificate_id)
    target.certcore_on_event(event, place.core.certificates)
    place.environment.advance(timedelta(hours=1))
    target.certcore_on_event(event, place.core.certificates)
    (_, first, body), (_, second, again) = receiver.got
    assert body == again
    assert first["Idempotency-Key"] == second["Idempotency-Key"] == f"{certificate_id}/{event.number}"
    for secret in (SECRET, OTHER):
        now = place.environment.now()
        assert verify_signature(body, second[SIGNATURE_HEADER], secrets=[secret], now=now)
        assert not verify_signature(body, first[SIGNATURE_HEADER], secrets=[secret], now=now)  # a recorded one
        assert verify_signature(body, first[SIGNATURE_HEADER], secrets=[secret], now=now - timedelta(hours=1))
    seconds = int(place.environment.now().timestamp())
    expected = hmac.new(SECRET.reveal(), b"%d.%b" % (seconds, body), "sha256").hexdigest()
    assert second[SIGNATURE_HEADER].startswith(f"t={seconds},")
    assert f"v1={expected}" in second[SIGNATURE_HEADER]


def _header(secret, seconds, body):
    return f"t={seconds},v1={hmac.new(secret, b'%d.%b' % (seconds, body), 'sha256').hexdigest()}"


@given(
    body=st.binary(max_size=200),
    secret=st.binary(min_size=16, max_size=80),
    sent=st.integers(0, 10**11),
    late=st.integers(-1000, 1000),
    tolerance=st.integers(0, 900),
)
@example(body=b"", secret=b"x" * 16, sent=1893456000, late=300, tolerance=300)
@example(body=b"", secret=b"x" * 16, sent=1893456000, late=301, tolerance=300)
def test_a_signature_holds_for_its_body_its_secret_and_its_time(body, secret, sent, late, tolerance):
    """Right within the tolerance, to both sides; never for another body, another secret or another moment."""
    header = _header(secret, sent, body)
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=max(sent + late, 0))
    off = abs(max(sent + late, 0) - sent)

    right = (Secret(secret),)

    def verified(body=body, header=header, secrets=right):
        return verify_signature(body, header, secrets=secrets, now=now, tolerance=timedelta(seconds=tolerance))

    assert verified() is (off <= tolerance)
    assert verified(secrets=(Secret(b"other" * 5), Secret(secret))) is (off <= tolerance)
    assert not verified(body=body + b"x")
    assert not verified(secrets=(Secret(secret + b"x"),))
    assert not verified(secrets=())
    assert not verified(header=header.replace(f"t={sent}", f"t={sent + 1}"))
    flipped = header[:-1] + ("0" if header[-1] != "0" else "1")
    assert not verified(header=flipped)


@given(
    header=st.one_of(
        st.none(),
        st.binary(max_size=200),
        st.text(max_size=200),
        st.from_regex(r"t=[0-9]{0,14}(,v[01]=[0-9a-f]{0,66}){0,3}"),
    )
)
def test_any_header_is_judged(header):
    """Whatever somebody sends is no signature, and no error."""
    assert not verify_signature(b"body", header, secrets=[SECRET], now=NOW)


def test_a_signature_among_others_is_found():
    """While a secret is changed there are several, some with secrets that the receiver has not got."""
    seconds = int(NOW.timestamp())
    good = _header(SECRET.reveal(), seconds, b"body").partition(",")[2]
    for header in (f"t={seconds},v1={'0' * 64},{good}", f"t={seconds},{good},v1={'0' * 64}"):
        assert verify_signature(b"body", header, secrets=[OTHER, SECRET], now=NOW)
        assert verify_signature(b"body", header.encode(), secrets=[OTHER, SECRET], now=NOW)  # as ASGI has headers
    assert not verify_signature(b"body", f"t={seconds}," + ",".join([good] * 20), secrets=[SECRET], now=NOW)
    with pytest.raises(InvalidInputError, match="time zone"):
        verify_signature(b"body", "", secrets=[SECRET], now=NOW.replace(tzinfo=None))
