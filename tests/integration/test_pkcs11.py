"""The PKCS#11 keyring with a real SoftHSM: what it seals opens, nobody gets its keys, and trouble is put in words."""

import logging
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import certcore.contrib.pkcs11
from certcore import CertCore
from certcore.adapters.keyrings.vault import EnvelopeVault
from certcore.contrib.pkcs11 import certcore_open_keyring, create_pkcs11_key
from certcore.contrib.pkcs11.url import parse_pkcs11_url
from certcore.errors import KeyringError, UnknownSealingKeyError, UnsealError, WrongSealingKeyError
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import Keyring
from certcore.x509.keys import load_private_key

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
_PLACES = [Path(f"{folder}/softhsm/libsofthsm2.so") for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib")]
LIBRARY = next((str(place) for place in _PLACES if place.exists()), "")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not (shutil.which("softhsm2-util") and LIBRARY), reason="SoftHSM (softhsm2) is not installed"),
]

PIN = "4711-canary"
NAME = SecretName("certificate-key", "1")
LABELS = [f"token-{number}" for number in range(24)]


@frozen
class Hsm:
    """A token, and the URLs that lead to it."""

    label: str
    folder: Path

    def url(self, key="certcore", *, pin=PIN, library=LIBRARY, token=None):
        return f"pkcs11:token={token or self.label};object={key}?module-path={library}&pin-value={pin}"

    def open(self, key="certcore", **how):
        return certcore_open_keyring(self.url(key, **how))

    def vault(self, key="certcore"):
        return EnvelopeVault(self.open(key))

    def token(self):
        (token,) = pkcs11.lib(LIBRARY).get_tokens(token_label=self.label)
        return token

    def make_key(self, label, **attributes):
        """A key as other programs may make it."""
        create_pkcs11_key(self.url(f"{label}-helper"))  # logs this process in
        session = self.token().open(rw=True)
        template = {getattr(pkcs11.Attribute, name): value for name, value in attributes.items()}
        session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True, template=template)
        session.close()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """Tokens that nobody used yet; all are made before the library looks for them, which it does once."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        for label in LABELS:
            subprocess.run(
                ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"],
                check=True,
                capture_output=True,
            )
        yield [Hsm(label, folder) for label in LABELS]
        pkcs11.unload(LIBRARY)


@pytest.fixture
def hsm(tokens):
    """A fresh token with one key, ``certcore``."""
    fresh = tokens.pop()
    create_pkcs11_key(fresh.url())
    return fresh


@pytest.fixture(scope="module")
def shared(tokens):
    """A token for all examples of hypothesis."""
    fresh = tokens.pop()
    create_pkcs11_key(fresh.url())
    return fresh.vault()


@given(st.binary(max_size=300), st.builds(SecretName, st.text(max_size=12), st.text(max_size=12)))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_sealed_opens_again(shared, plain, name):
    """Whole, never twice to the same bytes, and under its own name only."""
    first, second = shared.seal(Secret(plain), name), shared.seal(Secret(plain), name)
    assert shared.open(first, name).reveal() == plain
    assert first.wrapped_key != second.wrapped_key
    with pytest.raises(UnsealError):
        shared.open(first, SecretName(name.purpose, f"{name.owner_id}x"))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_one_changed_bit_is_noticed(shared, data):
    """In the wrapped key as in the rest; a cut or empty one is noticed too."""
    sealed = shared.seal(Secret("a private key"), NAME)
    part = data.draw(st.sampled_from(["wrapped_key", "nonce", "ciphertext"]))
    changed = bytearray(getattr(sealed, part))
    place = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[place // 8] ^= 1 << place % 8
    for wrong in (bytes(changed), bytes(changed[: place // 8])):
        with pytest.raises(UnsealError, match="certificate-key/1"):
            shared.open(evolve(sealed, **{part: wrong}), NAME)
    assert shared.open(sealed, NAME).reveal() == b"a private key"


def test_the_wrapped_key_is_bound_by_the_token(hsm):
    """The keyring itself refuses another binding and another key's id, not only the vault around it."""
    keyring = hsm.open()
    assert isinstance(keyring, Keyring)
    create_pkcs11_key(hsm.url("other"))
    key_id, wrapped = keyring.wrap(bytes(32), bound_to=b"here")
    assert (key_id, keyring.unwrap(key_id, wrapped, bound_to=b"here")) == ("certcore", bytes(32))
    for wrong_id, wrong_place in (("certcore", b"there"), ("other", b"here")):
        with pytest.raises(UnsealError):
            keyring.unwrap(wrong_id, wrapped, bound_to=wrong_place)


def test_keys_rotate(hsm):
    """A new current key seals what is new; what is old opens with the key that sealed it; a missing one is named."""
    old = hsm.vault().seal(Secret("old"), NAME)
    create_pkcs11_key(hsm.url("next-2027"))
    vault = hsm.vault("next-2027")
    new = vault.seal(Secret("new"), NAME)
    assert (old.key_id, new.key_id) == ("certcore", "next-2027")
    assert (vault.open(old, NAME).reveal(), vault.open(new, NAME).reveal()) == (b"old", b"new")
    assert vault.keyring.current_key_id == "next-2027"
    assert vault.keyring.key_ids == hsm.open().key_ids == {"certcore", "next-2027"}
    for missing in ("gone", "", "\ud800", "x" * 300):
        with pytest.raises((UnknownSealingKeyError, UnsealError)):
            vault.open(evolve(old, key_id=missing), NAME)
    with pytest.raises(UnknownSealingKeyError, match="'gone'"):
        vault.open(evolve(old, key_id="gone"), NAME)


def test_a_key_that_is_destroyed_is_missing(hsm):
    """Not a damaged secret, although a session remembers the key: the operator reads which one has to be put back."""
    vault = hsm.vault()
    sealed = vault.seal(Secret("x"), NAME)
    session = hsm.token().open(rw=True)
    session.get_key(label="certcore").destroy()
    session.close()
    with pytest.raises(UnknownSealingKeyError, match="'certcore'"):
        vault.open(sealed, NAME)
    with pytest.raises(KeyringError, match="has no AES key named 'certcore'"):
        vault.seal(Secret("y"), NAME)


def test_the_key_cannot_be_taken_out(hsm):
    """The token itself says so: no value, no wrapping by another key, and no way to make it extractable."""
    hsm.open()
    session = hsm.token().open(rw=True)
    key = session.get_key(label="certcore")
    for name, value in {"SENSITIVE": True, "EXTRACTABLE": False, "NEVER_EXTRACTABLE": True, "LOCAL": True}.items():
        assert key[getattr(pkcs11.Attribute, name)] is value, name
    for name in ("WRAP", "UNWRAP", "DERIVE", "SIGN"):
        assert key[getattr(pkcs11.Attribute, name)] is False, name
    with pytest.raises(pkcs11.AttributeSensitive):
        key[pkcs11.Attribute.VALUE]
    with pytest.raises(pkcs11.PKCS11Error):
        key[pkcs11.Attribute.EXTRACTABLE] = True
    wrapping = session.generate_key(pkcs11.KeyType.AES, 256, capabilities=pkcs11.MechanismFlag.WRAP)
    with pytest.raises(pkcs11.KeyUnextractable):
        wrapping.wrap_key(key)
    session.close()


def test_a_key_is_never_made_twice(hsm):
    """A second one of the same name would leave old secrets without their key."""
    with pytest.raises(KeyringError, match="already"):
        create_pkcs11_key(hsm.url())
    assert hsm.open().key_ids == {"certcore"}


def test_keys_that_are_not_fit_are_refused(hsm):
    """A key that the token would show, one that may not encrypt, and two of one name."""
    hsm.make_key("open", SENSITIVE=False, EXTRACTABLE=True)
    with pytest.raises(KeyringError, match="permits to read its key 'open'"):
        hsm.open("open")
    hsm.make_key("idle", ENCRYPT=False)
    with pytest.raises(KeyringError, match="'idle' that may not encrypt"):
        hsm.open("idle")
    hsm.make_key("twin")
    session = hsm.token().open(rw=True)
    session.generate_key(pkcs11.KeyType.AES, 256, label="twin", store=True)
    session.close()
    with pytest.raises(KeyringError, match="more than one AES key named 'twin'"):
        hsm.open("twin")


def test_what_is_missing_or_wrong_is_named(hsm, tmp_path):
    """PIN, token, key, library: each has one sentence with its name, and an advice."""
    (tmp_path / "empty.so").write_text("")
    for url, said in (
        (hsm.url(pin="wrong-canary"), f"The token '{hsm.label}' cannot be used: the PIN is wrong."),
        (hsm.url(pin="1"), f"The token '{hsm.label}' cannot be used: the PIN is wrong."),
        (hsm.url(pin=""), f"The token '{hsm.label}' requires a PIN."),
        (hsm.url(token="nowhere"), "The token 'nowhere' was not found."),
        (hsm.url("nothing"), f"The token '{hsm.label}' has no AES key named 'nothing'."),
        (hsm.url(library="/nowhere/lib.so"), "The PKCS#11 library /nowhere/lib.so cannot be loaded."),
        (hsm.url(library=f"{tmp_path}/empty.so"), f"The PKCS#11 library {tmp_path}/empty.so cannot be loaded."),
        (
            f"pkcs11:model=SoftHSM%20v2;object=k?module-path={LIBRARY}",
            "The token with model 'SoftHSM v2' is ambiguous",
        ),
    ):
        with pytest.raises(KeyringError) as refused:
            certcore_open_keyring(url)
        assert refused.value.message.startswith(said)
        assert refused.value.advice
        assert "canary" not in str(refused.value)
    assert hsm.vault().seal(Secret("x"), NAME).key_id == "certcore"


def test_a_wrong_pin_is_tried_once(hsm):
    """The token never sees it again from this process, so that a service that restarts its work does not lock it."""
    flag = pkcs11.TokenFlag.USER_PIN_COUNT_LOW
    with pytest.raises(KeyringError, match="PIN is wrong"):
        hsm.open(pin="wrong")
    assert hsm.token().flags & flag
    hsm.open()
    assert not hsm.token().flags & flag
    with pytest.raises(KeyringError, match="PIN is wrong"):
        hsm.open(pin="wrong")
    assert not hsm.token().flags & flag


def test_a_locked_pin_is_named():
    """SoftHSM locks none, so the words alone are looked at: each one names the token and says what to do."""
    from certcore.contrib.pkcs11 import token as pkcs11_token

    address = parse_pkcs11_url(Hsm("shop", Path()).url())
    refused = pkcs11_token.refusal(address, pkcs11.PinLocked())
    assert refused.message == "The token 'shop' cannot be used: its PIN is locked after too many wrong PINs."
    assert "new PIN" in refused.advice
    assert "it returned DeviceError." in str(pkcs11_token.refusal(address, pkcs11.DeviceError("canary")))
    assert "canary" not in str(pkcs11_token.refusal(address, pkcs11.DeviceError("canary")))


def test_the_pin_comes_from_a_private_file(hsm, tmp_path):
    """Read without its line end; refused when others can read it, when it is missing, and when it is empty."""
    path = tmp_path / "pin"
    path.write_text(f"{PIN}\n")
    path.chmod(0o600)
    base = hsm.url().partition("&")[0]
    for source in (f"file:{path}", f"file://{path}", str(path)):
        assert certcore_open_keyring(f"{base}&pin-source={source}").key_ids == {"certcore"}
    path.chmod(0o644)
    with pytest.raises(KeyringError, match="mode 0644") as refused:
        certcore_open_keyring(f"{base}&pin-source=file:{path}")
    assert f"chmod 600 {path}" in refused.value.advice
    path.chmod(0o600)
    path.write_text("\n")
    for wrong, said in (
        (path, "contains no text"),
        (tmp_path, "not a regular file"),
        (tmp_path / "no", "No such file"),
    ):
        with pytest.raises(KeyringError, match=said):
            certcore_open_keyring(f"{base}&pin-source=file:{wrong}")


def test_the_pin_is_shown_nowhere(hsm, caplog):
    """In no repr and in no log line, in good days and in bad ones."""
    with caplog.at_level(logging.DEBUG):
        keyring = hsm.open()
        keyring.wrap(bytes(32), bound_to=b"")
        with pytest.raises(UnsealError):
            keyring.unwrap("certcore", bytes(60), bound_to=b"")
        pkcs11.lib(LIBRARY).reinitialize()
        keyring.wrap(bytes(32), bound_to=b"")
    address = parse_pkcs11_url(hsm.url())
    shown = f"{keyring!r} {keyring} {EnvelopeVault(keyring)!r} {address!r} {address}"
    assert PIN not in shown + caplog.text
    assert "certcore" in shown


@pytest.mark.parametrize(
    "url",
    [
        "pkcs11:",
        "pkcs11:token=t",
        "pkcs11:object=k",
        "pkcs11:object=?module-path=/l.so",
        f"pkcs11:object={'k' * 101}?module-path=/l.so",
        "pkcs11:object=k?module-path=l.so",
        "pkcs11:object=k?module-path=/l.so&module-path=/l.so",
        "pkcs11:object=k;object=k?module-path=/l.so",
        "pkcs11:object=k;nothing=1?module-path=/l.so",
        "pkcs11:object=k;type=private?module-path=/l.so",
        "pkcs11:object=%zz?module-path=/l.so",
        "pkcs11:object=%ff?module-path=/l.so",
        "pkcs11:object=\udcff?module-path=/l.so",
        "pkcs11:object=k?module-path=/l.so&pin-value=canary\udcff",
        "pkcs11:object=%00?module-path=/l.so",
        "pkcs11:object=k?module-path=/l.so&pin-value=12&canary",
        "pkcs11:object=k?module-path=/l.so&pin-value=12&canary=1",
        "pkcs11:object=k?module-path=/l.so&pin-value=%zzcanary",
        "pkcs11:object=k?module-path=/l.so&pin-value=canary&pin-source=file:/p",
        "pkcs11:object=k?module-path=/l.so&pin-source=|canary",
        "pkcs11:object=k?module-path=/l.so&pin-source=pin",
    ],
)
def test_urls_that_are_none_are_refused_without_being_repeated(url):
    """One clear sentence about what is wrong, the form that is right, and nothing of what may be a PIN."""
    for work in (certcore_open_keyring, create_pkcs11_key):
        with pytest.raises(KeyringError, match="URL of the PKCS#11 keyring") as refused:
            work(url)
        assert "pkcs11:token=TOKEN;object=KEY" in refused.value.advice
        assert "canary" not in str(refused.value)


@given(st.text(alphabet="abktoenpijcdu-=;&?%/0 41\0é", max_size=60))
def test_no_text_breaks_the_url(text):
    """Whatever follows the scheme is refused, in words, as long as it names no library that is there."""
    with pytest.raises(KeyringError):
        certcore_open_keyring(f"pkcs11:{text}")


def test_other_urls_are_for_others():
    """The hook leaves them to other plugins; the scheme's case does not matter, and escapes are read."""
    assert certcore_open_keyring("vault:somewhere") is None
    assert certcore_open_keyring("pkcs11") is None
    with pytest.raises(KeyringError, match=r"library /no where/lib\.so"):
        certcore_open_keyring("PKCS11:token=a%3Bb;object=k%26;type=secret-key?module-path=/no%20where/lib.so")


def test_four_threads_at_once(hsm):
    """Everything that four threads seal and open at the same moment is right, also for a second keyring."""
    vaults = [hsm.vault(), hsm.vault()]
    start = threading.Barrier(4)

    def work(number):
        start.wait()
        for turn in range(50):
            vault, plain = vaults[(number + turn) % 2], f"{number}-{turn}".encode()
            assert vault.open(vault.seal(Secret(plain), NAME), NAME).reveal() == plain
            with pytest.raises(UnsealError):
                vault.keyring.unwrap("certcore", bytes(60), bound_to=b"")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_a_lost_session_is_opened_again(hsm):
    """After the library forgot every session, or was shut down: sealing, opening and looking go on."""
    vault = hsm.vault()
    sealed = vault.seal(Secret("x"), NAME)
    library = pkcs11.lib(LIBRARY)
    for lose in (library.reinitialize, library.finalize):
        lose()
        assert vault.open(sealed, NAME).reveal() == b"x"
        lose()
        assert vault.open(vault.seal(Secret("y"), NAME), NAME).reveal() == b"y"
        lose()
        assert vault.keyring.key_ids == {"certcore"}
        lose()
        with pytest.raises(UnsealError):
            vault.open(sealed, SecretName("certificate-key", "2"))


def test_another_part_of_the_program_may_be_logged_in(tokens):
    """That somebody else logged this process in does no harm, nor does their logging out."""
    hsm = tokens.pop()
    session = hsm.token().open(user_pin=PIN)
    create_pkcs11_key(hsm.url())
    vault = hsm.vault()
    sealed = vault.seal(Secret("x"), NAME)
    session.close()  # logs the whole process out
    assert vault.open(sealed, NAME).reveal() == b"x"


def test_a_forked_process_goes_on(hsm):
    """Servers fork after they opened their store: the child logs in for itself, and the parent notices nothing."""
    script = f"""
import os, sys
from certcore.adapters.keyrings.vault import EnvelopeVault
from certcore.contrib.pkcs11 import certcore_open_keyring
from certcore.model.secret import Secret, SecretName
vault = EnvelopeVault(certcore_open_keyring({hsm.url()!r}))
name = SecretName("a", "b")
sealed = vault.seal(Secret("x"), name)
child = os.fork()
for _ in range(20):
    assert vault.open(sealed, name).reveal() == b"x"
    assert vault.open(vault.seal(Secret("y"), name), name).reveal() == b"y"
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=240, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_loading_the_plugin_is_light():
    """Importing the plugin does not import python-pkcs11."""
    script = "import sys, certcore.contrib.pkcs11; print('pkcs11' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert run.stdout.strip() == "False"


def test_without_the_package_it_says_what_to_install(hsm):
    """In a Python that lacks python-pkcs11, opening such a keyring names the package and the command."""
    script = f"""
import sys
sys.modules["pkcs11"] = None  # what an import of it then meets is what a missing package gives
from certcore.contrib.pkcs11 import certcore_open_keyring
from certcore.contrib.pkcs11.url import parse_pkcs11_url
from certcore.errors import KeyringError
try:
    certcore_open_keyring({hsm.url()!r})
except KeyringError as refused:
    print(refused)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert "python-pkcs11, which is not installed. Run: pip install 'certcore[pkcs11]'" in run.stdout
    assert PIN not in run.stdout + run.stderr


def test_a_whole_store(hsm, tmp_path):
    """A CertCore on SQLite: authority, draft, CSR; the private key comes back, also after a rotation and a restart."""
    database = f"sqlite:///{tmp_path}/certcore.db"
    profile = {"ca": "custom", "directory_url": "https://127.0.0.1:9/dir", "terms_agreed": True}
    profile["tech_zone"] = "acme.panel.example"
    with CertCore.open(database, keyring=hsm.url(), plugins=[certcore.contrib.pkcs11]) as core:
        assert not core.plugin_failures
        ca = core.authorities.create("CA", module="puq_acme", settings=profile)
        draft = core.certificates.create("shop.example.com", authority=ca.id)
        core.certificates.generate_csr(draft.id)
        first = core.certificates.private_key(draft.id, reason="test").reveal()
    assert load_private_key(first)
    create_pkcs11_key(hsm.url("certcore-2"))
    with CertCore.open(database, keyring=hsm.url("certcore-2"), plugins=[certcore.contrib.pkcs11]) as core:
        assert core.certificates.private_key(draft.id, reason="test").reveal() == first
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PIN.encode() not in stored
    assert first.splitlines()[1] not in stored


def test_another_token_is_not_this_store(hsm, tokens, tmp_path):
    """A keyring with a key of the same name but another value is refused before anything is sealed with it."""
    database = f"sqlite:///{tmp_path}/certcore.db"
    CertCore.open(database, keyring=hsm.url(), plugins=[certcore.contrib.pkcs11]).close()
    other = tokens.pop()
    create_pkcs11_key(other.url())
    with pytest.raises(WrongSealingKeyError):
        CertCore.open(database, keyring=other.url(), plugins=[certcore.contrib.pkcs11])


@pytest.mark.skipif(
    not entry_points(group="certcore", name="pkcs11"), reason="certcore is installed without this entry point"
)
def test_the_url_is_enough(hsm, tmp_path):
    """Installed, the plugin is found by itself."""
    CertCore.open(f"sqlite:///{tmp_path}/certcore.db", keyring=hsm.url()).close()
