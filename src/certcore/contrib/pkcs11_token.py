"""What is done with a PKCS#11 token: log in, find keys, encrypt, decrypt. Importing this needs python-pkcs11."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import Any, Final, TypeVar

import pkcs11
from attrs import define, field

from certcore.contrib.pkcs11_url import Pkcs11Address
from certcore.errors import KeyringRefused, UnknownSealingKey, UnsealFailed
from certcore.model.secret import Secret

__all__ = ["check", "create", "decrypt", "encrypt", "labels", "refusal"]

_T = TypeVar("_T")

_KEY_BITS: Final = 256
#: NIST SP 800-38D section 8.2: 96 bits.
_NONCE_BYTES: Final = 12
_TAG_BITS: Final = 128

_MAKE_KEY: Final = "Make one: certcore.contrib.pkcs11.create_pkcs11_key(url); or name another with object=KEY."
_WRONG_PIN: Final = (
    "the PIN is wrong",
    "Put the right one where the URL says, then restart. Too many wrong ones lock the token.",
)
#: What the errors of a token mean: a clause about the token, and what to do.
_MEANINGS: Final[Mapping[type[Exception], tuple[str, str]]] = {
    pkcs11.PinIncorrect: _WRONG_PIN,
    pkcs11.PinInvalid: _WRONG_PIN,
    pkcs11.PinLenRange: _WRONG_PIN,
    pkcs11.PinLocked: (
        "its PIN is locked after too many wrong ones",
        "Its security officer has to set a new PIN, with the tool of the token's maker.",
    ),
    pkcs11.PinExpired: ("its PIN has expired", "Set a new PIN with the tool of the token's maker."),
    pkcs11.UserPinNotInitialized: ("it has no user PIN yet", "Set one with the tool of the token's maker."),
    pkcs11.MechanismInvalid: ("it does not do AES-GCM (CKM_AES_GCM)", "Use a token that does."),
    pkcs11.MechanismParamInvalid: (
        "it refuses the parameters of AES-GCM",
        "Use a token that takes a 96-bit IV and a 128-bit tag from its caller.",
    ),
    pkcs11.TokenWriteProtected: ("it is write-protected", "Make the key with the tool of the token's maker."),
    pkcs11.SessionCount: ("it has no session left", "Stop other programs that use it, or permit more sessions."),
}
#: These say that a ciphertext is not what was encrypted.
_BAD_DATA: Final = (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange)
#: These may say it too, or that the token is in trouble; SoftHSM answers a wrong tag with GeneralError. The last one
#: stands for codes that python-pkcs11 has no name for.
_PERHAPS_BAD_DATA: Final = frozenset(
    {pkcs11.GeneralError, pkcs11.FunctionFailed, pkcs11.DataInvalid, pkcs11.SignatureInvalid, pkcs11.PKCS11Error}
)


@define(eq=False)
class _Login:
    """One session with one token; shared by all keyrings there, because PKCS#11 logs in a process, not a session."""

    token: Any
    session: Any
    pin: Secret | None
    _keys: dict[str, Any] = field(factory=dict, init=False)

    def key(self, key_id: str) -> Any:
        """The AES key of that label; NoSuchKey or MultipleObjectsReturned when there is not exactly one."""
        if key_id not in self._keys:
            # What is no UTF-8 must not reach python-pkcs11: it crashes the process.
            is_label = key_id and key_id.encode(errors="ignore").decode() == key_id
            found = self.aes_keys({pkcs11.Attribute.LABEL: key_id}) if is_label else []
            if not found:
                raise pkcs11.NoSuchKey
            if len(found) > 1:
                raise pkcs11.MultipleObjectsReturned
            self._keys[key_id] = found[0]
        return self._keys[key_id]

    def aes_keys(self, wanted: Mapping[Any, Any]) -> list[Any]:
        """The token's AES keys that have these attributes."""
        # A search in a lost session would say so in the wrong way: python-pkcs11 prints it when it cleans up.
        self.session.generate_random(8)
        kind = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES}
        return list(self.session.get_objects({**kind, **wanted}))

    def encrypt(self, key_id: str, plain: bytes, bound: bytes) -> bytes:
        """Nonce, ciphertext and tag; the nonce comes from the token too."""
        nonce: bytes = self.session.generate_random(_NONCE_BYTES * 8)
        encrypted: bytes = self.key(key_id).encrypt(plain, **_gcm(nonce, bound))
        return nonce + encrypted


class _Process:
    """What the keyrings of one process share."""

    def __init__(self) -> None:
        # One call at a time: python-pkcs11 initialises a library without telling it that there are threads.
        self.lock = RLock()
        self.logins: dict[Pkcs11Address, _Login] = {}
        #: PINs that a token refused: never tried twice, so that retries do not lock it.
        self.refused: dict[Pkcs11Address, Secret] = {}
        self.loaded: set[str] = set()
        #: Libraries that a parent process loaded; after a fork they have to be initialised again.
        self.inherited: set[str] = set()

    def after_fork(self) -> None:
        """Forget the parent's sessions, and its lock, which another thread of it may have held."""
        self.lock = RLock()
        self.inherited |= self.loaded
        self.logins.clear()


_process: Final = _Process()
os.register_at_fork(after_in_child=_process.after_fork)


def check(address: Pkcs11Address) -> None:
    """See that the PIN is right, and that the current key is there and fit for the work.

    Raises:
        KeyringRefused: It is not, or the token cannot be used.
    """
    with _process.lock:
        login = _process.logins.get(address)
        if login is not None and login.pin != address.pin():
            _log_out(address)  # so that the token looks at this PIN as well
        _use(address, lambda login: _check_key(address, login.key(address.key_id)))


def labels(address: Pkcs11Address) -> frozenset[str]:
    """The labels of all AES keys that may decrypt.

    Raises:
        KeyringRefused: The token cannot be used.
    """
    return _use(address, _labels)


def encrypt(address: Pkcs11Address, plain: bytes, bound: bytes) -> bytes:
    """Encrypt with the current key.

    Raises:
        KeyringRefused: The token cannot be used.
    """
    return _use(address, lambda login: login.encrypt(address.key_id, plain, bound))


def decrypt(address: Pkcs11Address, key_id: str, encrypted: bytes, bound: bytes) -> bytes:
    """Decrypt what `encrypt` made.

    Raises:
        UnknownSealingKey: The token holds no such key.
        UnsealFailed: What was encrypted or what it is bound to changed.
        KeyringRefused: The token cannot be used.
    """

    def work(login: _Login) -> bytes:
        key = login.key(key_id)
        try:
            plain: bytes = key.decrypt(encrypted[_NONCE_BYTES:], **_gcm(encrypted[:_NONCE_BYTES], bound))
        except pkcs11.PKCS11Error as error:
            if _is_about_the_data(login, address.key_id, error):
                raise UnsealFailed("data key") from None
            raise
        return plain

    return _use(address, work, key_id=key_id)


def create(address: Pkcs11Address) -> None:
    """Make the current key.

    Raises:
        KeyringRefused: There is one of that name, or the token cannot be used.
    """

    def work(login: _Login) -> None:
        if login.aes_keys({pkcs11.Attribute.LABEL: address.key_id}):
            raise KeyringRefused(
                f"{address} holds a key named {address.key_id!r} already; it was left as it is.",
                advice="Use it, or choose another name: object=KEY.",
            )
        session = login.token.open(rw=True)  # logged in already, as the whole process is
        try:
            session.generate_key(
                pkcs11.KeyType.AES,
                _KEY_BITS,
                id=address.key_id.encode(),
                label=address.key_id,
                store=True,
                capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
                template={
                    pkcs11.Attribute.PRIVATE: True,
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                },
            )
        finally:
            session.close()

    _use(address, work)


def _use(address: Pkcs11Address, work: Callable[[_Login], _T], *, key_id: str | None = None) -> _T:
    """Do something with the token; when it fails, once more after a new login: sessions get lost.

    Args:
        address: Which token.
        work: What to do.
        key_id: The key that a secret was sealed with; None when it is about the current one.
    """
    with _process.lock:
        with suppress(pkcs11.PKCS11Error):
            return work(_log_in(address))
        _log_out(address)
        try:
            return work(_log_in(address))
        except pkcs11.PKCS11Error as error:
            if key_id is not None and isinstance(error, pkcs11.NoSuchKey):
                raise UnknownSealingKey(key_id) from None
            raise refusal(address, error, key_id or address.key_id) from None


def _log_in(address: Pkcs11Address) -> _Login:
    """The process's session with the token, or a new one."""
    login = _process.logins.get(address)
    if login is not None:
        return login
    pin = address.pin()
    if pin is not None and _process.refused.get(address) == pin:
        raise refusal(address, pkcs11.PinIncorrect())
    try:
        token = _find_token(_load(address.module), address)
        login = _Login(token=token, session=_open_session(address, token, pin), pin=pin)
    except pkcs11.PKCS11Error as error:
        if pin is not None and _MEANINGS.get(type(error)) is _WRONG_PIN:
            _process.refused[address] = pin
        raise refusal(address, error) from None
    _process.logins[address] = login
    return login


def _log_out(address: Pkcs11Address) -> None:
    login = _process.logins.pop(address, None)
    if login is not None:
        with suppress(pkcs11.PKCS11Error):  # it is lost already, perhaps
            login.session.close()


def _open_session(address: Pkcs11Address, token: Any, pin: Secret | None) -> Any:
    flags = token.flags
    if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
        raise pkcs11.PinLocked
    if pin is None:
        if flags & pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH:
            return token.open(user_pin=pkcs11.PROTECTED_AUTH)
        if flags & pkcs11.TokenFlag.LOGIN_REQUIRED:
            raise KeyringRefused(f"{address} wants a PIN.", advice="Name its file in the URL: pin-source=file:/PATH")
        return token.open()
    if flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
        raise KeyringRefused(
            f"{address} would be locked by one more wrong PIN, so this one was not tried.",
            advice="Log in once with the tool of the token's maker, with the right PIN; then try again.",
        )
    try:
        return token.open(user_pin=pin.reveal_text())
    except pkcs11.UserAlreadyLoggedIn:
        return token.open()  # another part of this process has logged it in


def _load(module: str) -> Any:
    try:
        library = pkcs11.lib(module)
        if module in _process.inherited:
            _process.inherited.discard(module)
            with suppress(pkcs11.PKCS11Error):
                library.finalize()
            library.initialize()
        _process.loaded.add(module)
    except pkcs11.PKCS11Error:
        raise KeyringRefused(
            f"The PKCS#11 library {module} cannot be loaded.",
            advice="Check module-path in the keyring's URL, and that the software of the token's maker is installed.",
        ) from None
    return library


def _find_token(library: Any, address: Pkcs11Address) -> Any:
    there = list(library.get_tokens(token_flags=pkcs11.TokenFlag.TOKEN_INITIALIZED))
    found = [token for token in there if set(address.token) <= _description(token)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(repr(token.label) for token in there)) or "none"
    if found:
        raise KeyringRefused(
            f"{address} cannot be told from others of that description.",
            advice=f"Name it by its label or serial number, token=… or serial=…; {address.module} has: {names}.",
        )
    raise KeyringRefused(
        f"{address} is not there.",
        advice=f"{address.module} has: {names}. Is it plugged in, initialised, and may this user see it? "
        "If it was just made, restart this program.",
    )


def _description(token: Any) -> set[tuple[str, str]]:
    return {
        ("token", token.label),
        ("serial", token.serial.decode(errors="replace")),
        ("manufacturer", token.manufacturer_id),
        ("model", token.model),
    }


def _check_key(address: Pkcs11Address, key: Any) -> None:
    """Refuse a key that cannot do the work, and one that the token would show to anybody with the PIN."""
    if not (key[pkcs11.Attribute.ENCRYPT] and key[pkcs11.Attribute.DECRYPT]):
        raise KeyringRefused(f"{address} has a key {address.key_id!r} that may not encrypt.", advice=_MAKE_KEY)
    if key[pkcs11.Attribute.EXTRACTABLE] and not key[pkcs11.Attribute.SENSITIVE]:
        raise KeyringRefused(f"{address} shows its key {address.key_id!r} to whoever asks.", advice=_MAKE_KEY)


def _labels(login: _Login) -> frozenset[str]:
    found = set()
    for key in login.aes_keys({pkcs11.Attribute.DECRYPT: True}):
        with suppress(pkcs11.AttributeTypeInvalid, UnicodeDecodeError):  # not ours: ours have a label
            found.add(str(key[pkcs11.Attribute.LABEL]))
    return frozenset(found - {""})


def _is_about_the_data(login: _Login, current_key_id: str, error: Exception) -> bool:
    """Whether a decryption failed for what was to be decrypted, and not for the token's own sake."""
    if type(error) not in _PERHAPS_BAD_DATA:
        return isinstance(error, _BAD_DATA)
    # A token that still encrypts is well, so it was the data.
    try:
        login.encrypt(current_key_id, b"probe", b"")
    except pkcs11.PKCS11Error:
        return False
    return True


def _gcm(nonce: bytes, bound: bytes) -> dict[str, Any]:
    return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": pkcs11.GCMParams(nonce, bound, _TAG_BITS)}


def refusal(address: Pkcs11Address, error: Exception, key_id: str = "") -> KeyringRefused:
    """What an error of the token means, in words of ours; its own text is not repeated."""
    if isinstance(error, pkcs11.NoSuchKey):
        return KeyringRefused(f"{address} holds no AES key named {key_id!r}.", advice=_MAKE_KEY)
    if isinstance(error, pkcs11.MultipleObjectsReturned):
        return KeyringRefused(
            f"{address} holds more than one AES key named {key_id!r}.",
            advice="Rename all but the one that certcore used, with the tool of the token's maker.",
        )
    meaning, advice = _MEANINGS.get(
        type(error),
        (f"it answered {type(error).__name__}", "The log of the token's software may say more. Then try again."),
    )
    return KeyringRefused(f"{address} cannot be used: {meaning}.", advice=advice)
