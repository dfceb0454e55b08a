"""Whatever happens to a paste on its way: the same bundle, or an error of ours that gives nothing away."""

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs7, pkcs12
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from certcore.errors import CertCoreError, InvalidInputError, KeyMismatchError
from certcore.x509.der import Kind, definite, kind_of, opening_cost, read_value, read_values, signed_certificates
from certcore.x509.import_bundle import read_bundle
from support import bundle_corpus as corpus
from support.examples import examples

NOW, WORLD = corpus.NOW, corpus.World()
PASSWORD = "canary-Password-42"
LOCKED = BestAvailableEncryption(PASSWORD.encode())
EXPECTED = read_bundle("".join(WORLD.everything), now=NOW)
STORE = pkcs12.serialize_key_and_certificates(None, WORLD.shop_key, WORLD.shop.leaf, [WORLD.middle], LOCKED)
P7B = pkcs7.serialize_certificates([WORLD.shop.leaf, WORLD.middle], Encoding.DER)
SAMPLES = {
    "all": "".join(WORLD.everything).encode(),
    "der": corpus.der(WORLD.shop.leaf),
    "key": corpus.key_der(WORLD.shop_key),
    "locked": WORLD.shop_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, LOCKED),
    "p7b": P7B,
    "p12": STORE,
    "request": WORLD.request.public_bytes(Encoding.DER),
}
#: What must not be in any sentence.
SECRETS = (
    PASSWORD,
    base64.b64encode(SAMPLES["key"]).decode()[40:64],
    str(WORLD.shop_key.private_numbers().private_value),
)

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r", "", " ", "\n\n", "  \n", "\n\t", "\\n", "\\r\\n", "<br>\n", "\u2028"])
COMMENTS = st.sampled_from(
    ["", "\n", "# chain", "Bag Attributes\n    localKeyID: 01 02", "subject=CN = a, O = <b> & c", "---"]
)
FIELDS = st.sampled_from(["leaf", "private_key", "ca_bundle"])


def attempt(**arguments):
    """A bundle, or an error of ours that a person can read."""
    problem = None
    try:
        return read_bundle(**{"leaf": "", "now": NOW, **arguments})
    except (InvalidInputError, KeyMismatchError) as error:
        problem = error
    sentence = str(problem)
    assert problem.message
    assert sentence.isprintable()
    assert len(sentence) < 1000
    assert not [unclear for unclear in ("Traceback", "<class", "object at 0x", "Error(") if unclear in sentence]
    assert not [secret for secret in SECRETS if secret in sentence + repr(problem)]
    return None


@given(data=st.data())
def test_the_way_does_not_matter(data):
    """Order, field, line ends, comments, repetition and spaces change nothing."""
    blocks = data.draw(st.permutations(WORLD.everything))
    blocks += data.draw(st.lists(st.sampled_from(WORLD.everything), max_size=2))
    fields = {"leaf": "", "private_key": "", "ca_bundle": ""}
    for block in blocks:
        line_end = data.draw(LINE_ENDS)
        comment = data.draw(COMMENTS)
        fields[data.draw(FIELDS)] += f"{comment}\n{block.replace(chr(10), line_end)}\n"
    bundle = read_bundle(**{**fields, "now": NOW})
    assert (bundle.leaf_pem, bundle.chain_pem) == (EXPECTED.leaf_pem, EXPECTED.chain_pem)
    assert bundle.private_key == EXPECTED.private_key
    assert bundle.warnings == ()


@given(
    given=st.binary(max_size=300) | st.text(max_size=300), field=FIELDS, password=st.none() | st.text() | st.binary()
)
def test_noise_is_refused_in_words(given, field, password):
    """No bytes and no text are taken for a certificate, and none raises anything else."""
    assert attempt(**{field: given}, password=password) is None


@given(
    body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
    label=st.sampled_from(
        ["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "PKCS7", "TRUSTED CERTIFICATE", "PUBLIC KEY"]
    ),
    headers=st.sampled_from(["", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"]),
    armoured=st.booleans(),
)
def test_noise_in_armour_is_refused_in_words(body, label, headers, armoured):
    """Neither random DER nor random base64."""
    inside = base64.b64encode(body).decode() if armoured else body.decode("utf-8", "replace")
    text = f"-----BEGIN {label}-----\n{headers}{inside}\n-----END {label}-----\n"
    assert attempt(leaf=text, password=PASSWORD) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("sample", SAMPLES)
@given(data=st.data())
@examples(150, suppress_health_check=[HealthCheck.too_slow])
def test_damage_is_refused_in_words(sample, data):
    """Flipped bits, cuts and repetitions raise an error of certcore, or give the same certificate, or another chain."""
    damaged = bytearray(SAMPLES[sample])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["flip", "set", "cut", "insert"])):
            case "flip":
                damaged[place] ^= 1 << data.draw(st.integers(0, 7))
            case "set":
                damaged[place] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[place : place + data.draw(st.integers(1, 20))]
            case "insert":
                damaged[place:place] = data.draw(st.binary(max_size=20))
        if not damaged:
            return
    for form in (bytes(damaged), base64.b64encode(damaged).decode()):
        bundle = attempt(leaf=form, password=PASSWORD)
        if bundle is not None and bundle.chain_pem and bundle.private_key:
            assert bundle.leaf_pem == EXPECTED.leaf_pem


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(data=st.data())
@examples(300)
def test_one_changed_bit_of_the_leaf_is_never_taken(data):
    """With its chain beside it, a changed leaf is no part of it."""
    der = bytearray(SAMPLES["der"])
    place = data.draw(st.integers(0, len(der) * 8 - 1))
    der[place // 8] ^= 1 << place % 8
    assert attempt(leaf=bytes(der), private_key=WORLD.shop.key_pem, ca_bundle=corpus.pem(WORLD.middle)) is None


@pytest.mark.parametrize(
    "password", [None, "", PASSWORD.lower(), PASSWORD + "x", b"\xff\xfe", "\ud800", "\0", "x" * 2000]
)
@pytest.mark.parametrize("sample", ["p12", "locked"])
def test_a_wrong_password_is_said_so_and_not_repeated(sample, password):
    """Whatever was given instead of the password."""
    with pytest.raises(InvalidInputError) as refused:
        read_bundle(WORLD.shop.leaf_pem, SAMPLES[sample], password=password, now=NOW)
    assert refused.value.field == "password"
    assert not password or str(password) not in str(refused.value)
    assert ("needed" in str(refused.value)) is not bool(password)


def test_a_wrong_password_is_said_so_also_when_it_seems_to_fit():
    """One in 256 wrong passwords decrypts to noise with an end that looks right; the sentence is the same."""
    options = ("-v2", "des3", "-iter", "1", "-outform", "DER", "-passout", f"pass:{PASSWORD}")
    locked = WORLD.openssl("pkcs8", "-topk8", *options, given=WORLD.shop.key_pem)
    assert attempt(leaf=WORLD.shop.leaf_pem, private_key=locked, password=PASSWORD) is not None
    for number in range(1000):
        with pytest.raises(InvalidInputError, match="does not open"):
            read_bundle(WORLD.shop.leaf_pem, locked, password=f"wrong {number}", now=NOW)


@given(st.binary(max_size=200))
def test_the_reader_of_der_raises_value_errors_only(data):
    """And says what it can of anything."""
    for read in (read_values, definite, signed_certificates, opening_cost):
        with contextlib.suppress(ValueError):
            read(data)
    assert isinstance(kind_of(data), Kind)


@pytest.mark.parametrize("sample", ["der", "key", "locked", "p7b", "p12", "request"])
def test_values_are_told_apart(sample):
    """Also when their lengths are left open, which comes back as what it was."""
    expected = {"der": Kind.CERTIFICATE, "key": Kind.PRIVATE_KEY, "locked": Kind.ENCRYPTED_KEY, "p7b": Kind.PKCS7}
    expected |= {"p12": Kind.PKCS12, "request": Kind.REQUEST}
    data = SAMPLES[sample]
    assert kind_of(data) is kind_of(corpus.indefinite(data)) is expected[sample]
    assert definite(data) == definite(corpus.indefinite(data)) == data


@pytest.mark.parametrize("nested", [b"\x30\x80" * 5000, b"\x24\x80" * 5000, b"0\x84\0\x01\0\0" * 5000])
def test_deep_nesting_ends(nested):
    """Neither the stack nor the clock runs out."""
    assert attempt(leaf=nested) is None
    deep = b"\x04\x00"
    for _ in range(3000):
        deep = corpus.tlv(0x30, deep)
    store = corpus.tlv(0x30, corpus.integer(3), deep, deep)
    assert attempt(leaf=store) is None
    with pytest.raises(ValueError, match="nested too deeply"):
        opening_cost(store)


@pytest.mark.parametrize("read", [read_value, read_values, definite, opening_cost])
def test_what_is_looked_at_is_bounded(read):
    """Many values, and values around values, each of which would be walked through for each level around it."""
    inside = b"\x05\0" * 19_990
    assert read(corpus.indefinite(corpus.tlv(0x30, b"\x05\0" * 6000))) is not None
    with pytest.raises(ValueError, match="too many values"):
        read(b"\x30\x80" + inside + b"\x05\0" * 20 + b"\0\0")
    if read in {definite, opening_cost}:
        with pytest.raises(ValueError, match="too many values"):
            read(nested_open(inside[:10_000], 4))
    with pytest.raises(ValueError, match="nested too deeply"):
        read(nested_open(b"\x05\0", 29))


def nested_open(data, levels):
    for _ in range(levels):
        data = b"\x30\x80" + data + b"\0\0"
    return data


def test_a_nest_of_open_lengths_is_refused():
    """As a PKCS#12 file of the longest length, which took seconds once."""
    store = corpus.tlv(0x30, corpus.integer(3), nested_open(b"\x05\0" * 131_000, 29))
    assert attempt(leaf=store, private_key=store + b"\0", password=PASSWORD) is None
    with pytest.raises(ValueError, match="nested too deeply"):
        opening_cost(store)


@pytest.mark.parametrize(
    "part",
    [
        "-",
        "--",
        "--BEGIN ",
        "--BEGIN A        ",
        "\\",
        "<",
        "&",
        "\n",
        " ",
        "DEK-Info:",
        "A:",
        "MIIB",
        "=",
        '"',
        "0\x82",
    ],
)
@pytest.mark.timeout(20)
def test_no_text_takes_long(part):
    """Each regular expression looks at each character a bounded number of times."""
    length = 256 * 1024
    assert attempt(leaf=(part * length)[:length]) is None
    block = f"-----BEGIN RSA PRIVATE KEY-----{(part * length)[: length - 100]}-----END RSA PRIVATE KEY-----"
    assert attempt(leaf=block) is None


def test_every_error_is_of_the_tree():
    """Whoever catches CertCoreError catches all."""
    assert issubclass(InvalidInputError, CertCoreError)
    assert issubclass(KeyMismatchError, CertCoreError)
