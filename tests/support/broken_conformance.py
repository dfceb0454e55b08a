"""CA modules that break one rule each: `BROKEN` has them by the name of the check that has to find it."""

import hashlib
import logging
import os
import socket
import threading
import time
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType

from attrs import evolve, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import certcore
from certcore.hints import ActionButton, Level, Link, Message, Notice
from certcore.plugin import (
    BudgetUse,
    CAError,
    CertCoreError,
    CertificateAction,
    CheckItem,
    CheckReport,
    Failed,
    InvalidInputError,
    ModuleFile,
    Note,
    NoteSubject,
    Problem,
    ProfileAction,
    Retry,
    fields_of,
    form,
)
from certcore.testing import LittleAuthority
from support.conformant_ca import AUTHORITY, NOW, ConformantCA, Profile, Registering, Settings, message

BROKEN = {}
#: For some: what the setup of the run has besides, or how the plugin is made.
SETUPS = {}
PLUGINS = {}


def breaks(check, plugin=Registering, **setup):
    """Put a module into the table."""

    def add(module):
        BROKEN[check] = module
        PLUGINS[check] = plugin
        SETUPS[check] = MappingProxyType(setup)
        return module

    return add


# -- loading ---------------------------------------------------------------------------------------------------------


class Unmarked(Registering):
    """Forgets a mark."""

    def certcore_hints(self, view):
        return []


class WithStranger(Registering):
    """Registers something that is no module, beside its module."""

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.module, object()]


@breaks("hooks", plugin=Unmarked)
class Hooks(ConformantCA):
    pass


@breaks("module-name")
class Name(ConformantCA):
    name = "Conformant-CA"


@breaks("module-title")
class Title(ConformantCA):
    title = " "


@breaks("settings-classes")
class SettingsClasses(ConformantCA):
    profile_type = dict


@breaks("method-signatures")
class Signatures(ConformantCA):
    def revoke(self, issuance):
        pass


@breaks("plain-methods")
class Coroutine(ConformantCA):
    async def advance(self, work):
        return None


@breaks("whole-powers")
class HalfAPower(ConformantCA):
    preflight = None


@breaks("method-names")
class Misspelt(ConformantCA):
    def dnsserver(self, **given):
        pass


@breaks("loads", plugin=WithStranger)
class Stranger(ConformantCA):
    pass


@breaks("own-names")
class NameClash(ConformantCA):
    name = "puq_acme"


# -- forms -----------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class OpenProfile(Profile):
    account_token: str = form.text("Token", default="")


@breaks("secret-fields")
class PlainSecret(ConformantCA):
    profile_type = OpenProfile


@frozen(kw_only=True)
class WrongDefault(Profile):
    years: int = form.integer("Years", minimum=1, maximum=9, default=0)


@breaks("form-defaults")
class Defaults(ConformantCA):
    profile_type = WrongDefault


@breaks("profile")
class RefusesProfiles(ConformantCA):
    def check_profile(self, profile):
        raise InvalidInputError("note", "is refused.")


@frozen(kw_only=True)
class Forgetful(Profile):
    made: str = form.text("Made", default="", parse=lambda text, name: f"{text}+")


@breaks("profile-kept", settings={"api_key": "canary-api-key-of-the-ca", "made": "x"})
class Changing(ConformantCA):
    profile_type = Forgetful


@breaks("refused-settings")
class RaisesForSettings(ConformantCA):
    def check_profile(self, profile):
        if profile.note == "refused":
            raise ValueError("note")


@breaks("profile-form")
class UnknownField(ConformantCA):
    def profile_form(self, context):
        first, *rest = fields_of(Profile)
        return [evolve(first, name="no_such_field"), first, *rest]


@breaks("certificate-form")
class FieldTwice(ConformantCA):
    def certificate_form(self, context):
        return [*fields_of(Settings), *fields_of(Settings)]


@breaks("request")
class RefusesRequests(ConformantCA):
    def check_request(self, context, names, settings):
        raise InvalidInputError("domain", "is refused.")


@breaks("refused-names")
class RaisesForWildcards(ConformantCA):
    def check_request(self, context, names, settings):
        if any(name.is_wildcard for name in names):
            raise LookupError("wildcard")


# -- steps -----------------------------------------------------------------------------------------------------------


@breaks("step-sleep")
class Sleeps(ConformantCA):
    def ordered(self, work):
        time.sleep(20)
        return super().ordered(work)


@breaks("step-returns")
class Raises(ConformantCA):
    def ordered(self, work):
        raise RuntimeError("a bug")


@breaks("step-type")
class ReturnsTuple(ConformantCA):
    def ordered(self, work):
        return (super().ordered(work),)


@breaks("step-json")
class ObjectInState(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), state={"order": "x", "at": work.environment.now()})


@breaks("step-size")
class HugeState(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), state={"order": "x" * 300_000})


@breaks("step-secrets")
class SecretInState(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), state={"order": work.profile.api_key.reveal_text()})


@breaks("aware-moments")
class NaiveMoment(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), look_again=datetime(2030, 1, 1, 12))  # noqa: DTZ001 - this is the fault


@breaks("near-moments")
class FarMoment(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), look_again=work.environment.now().replace(year=9999))


@breaks("pauses")
class NeverRests(ConformantCA):
    def issued(self, work):
        return evolve(self.waiting(work), look_again=work.environment.now(), ordered=False)


@breaks("input-kept")
class ChangesInput(ConformantCA):
    def issued(self, work):
        step = super().issued(work)
        work.issuance.module_state.clear()
        return step


@breaks("clean-up-there", held_outside=None)
class CannotCleanUp(ConformantCA):
    clean_up = None


@breaks("problems")
class EmptyProblem(ConformantCA):
    def ordered(self, work):
        if work.state is None:
            return Failed(state={"tried": True}, problem=Problem(title=""), retry=Retry.SOON)
        return super().ordered(work)


@breaks("notes")
class NoteOfTwoLines(ConformantCA):
    def ordered(self, work):
        note = Note(about=NoteSubject.ORDER, text="The order\nwas placed.")
        return evolve(super().ordered(work), notes=(note,))


@breaks("quiet-calls")
class Prints(ConformantCA):
    def ordered(self, work):
        print("ordering")  # noqa: T201 - this is the fault
        return super().ordered(work)


@breaks("log-secrets")
class LogsSecret(ConformantCA):
    def ordered(self, work):
        logging.getLogger("conformant").debug("key=%s", work.profile.api_key.reveal_text())
        return super().ordered(work)


# -- leaves ----------------------------------------------------------------------------------------------------------


@cache
def _other_authority():
    return LittleAuthority(NOW)


@cache
def _key():
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _ca_name():
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Conformant CA that signs by itself")])


def _signed(work, *, serial=None, usage=ExtendedKeyUsageOID.SERVER_AUTH, ca=False):
    """A leaf of another CA, which is sloppy where it is told to be."""
    request = x509.load_pem_x509_csr(work.issuance.csr_pem.encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    leaf = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(_ca_name())
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(work.environment.now())
        .not_valid_after(work.environment.now() + timedelta(days=30))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(_key(), hashes.SHA256())
    )
    return leaf.public_bytes(Encoding.PEM).decode()


@breaks("leaf-readable")
class Garbage(ConformantCA):
    def chain(self, work):
        return "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


@breaks("leaf-end-entity")
class LeafOfCA(ConformantCA):
    def chain(self, work):
        return _signed(work, ca=True)


@breaks("leaf-signature")
class ForeignSignature(ConformantCA):
    def chain(self, work):
        leaf = super().chain(work).partition("-----END CERTIFICATE-----\n")
        return "".join(leaf[:2]) + _other_authority().intermediate_pem


@breaks("leaf-key")
class OtherKey(ConformantCA):
    def chain(self, work):
        return AUTHORITY.issue(work.issuance.csr_pem, now=work.environment.now(), public_key=_key().public_key())


@breaks("leaf-names")
class OtherNames(ConformantCA):
    def chain(self, work):
        return AUTHORITY.issue(work.issuance.csr_pem, now=work.environment.now(), names=["elsewhere.test"])


@breaks("leaf-dates")
class Ended(ConformantCA):
    def chain(self, work):
        return AUTHORITY.issue(work.issuance.csr_pem, now=work.environment.now() - timedelta(days=100))


@breaks("leaf-serial")
class SmallSerials(ConformantCA):
    def chain(self, work):
        with self.world.lock:
            self.world.last = (self.world.last or 0) + 1
        return _signed(work, serial=self.world.last % 200)


def _der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x82, size >> 8, size & 0xFF])
    return bytes([tag]) + length + content


def _with_sha1(pem):
    """The same leaf signed with SHA-1, which cryptography does not do: ecdsa-with-SHA1 (RFC 5758 section 3.2)."""
    leaf = x509.load_pem_x509_certificate(pem.encode())
    old, new = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")
    to_be_signed = _der(0x30, leaf.tbs_certificate_bytes[4:].replace(old, new, 1))
    digest = hashlib.sha1(to_be_signed, usedforsecurity=False).digest()
    signature = _key().sign(digest.ljust(32, b"0"), ec.ECDSA(Prehashed(hashes.SHA256())))
    der = _der(0x30, to_be_signed + new + _der(0x03, b"\0" + signature))
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


@breaks("leaf-digest")
class OldDigest(ConformantCA):
    def chain(self, work):
        return _with_sha1(_signed(work))


@breaks("leaf-server")
class ClientLeaf(ConformantCA):
    def chain(self, work):
        return _signed(work, usage=ExtendedKeyUsageOID.CLIENT_AUTH)


@breaks("issues")
class Refuses(ConformantCA):
    def ordered(self, work):
        problem = Problem(title="The CA refuses.", advice="Ask the CA.")
        return Failed(state={}, problem=problem, retry=Retry.NEVER)


# -- powers ----------------------------------------------------------------------------------------------------------


@breaks("clean-up")
class CleansUpInThePast(ConformantCA):
    def clean_up(self, work):
        with self.world.lock:
            was_held = work.issuance.id in self.world.held
            self.world.held.discard(work.issuance.id)
        return work.environment.now() - timedelta(hours=1) if was_held else None


@breaks("clean-up-twice")
class CleansUpOnce(ConformantCA):
    def clean_up(self, work):
        if work.issuance.id in self.world.released:
            raise KeyError(work.issuance.id)
        super().clean_up(work)


@breaks("clean-up-nothing")
class CleansUpWhatItHolds(ConformantCA):
    def clean_up(self, work):
        if work.issuance.id not in self.world.held | self.world.released:
            raise KeyError(work.issuance.id)
        super().clean_up(work)


@breaks("taken-back")
class LeavesBehind(ConformantCA):
    def clean_up(self, work):
        pass


@breaks("revoke")
class CannotRevoke(ConformantCA):
    def revoke(self, issuance, reason, private_key, context):
        raise CAError("The CA does not revoke.", problem_type="urn:conformant:no", advice="Ask the CA.")


@breaks("revoke-twice")
class RevokesOnce(ConformantCA):
    def revoke(self, issuance, reason, private_key, context):
        if issuance.leaf_pem in self.world.revoked:
            raise CAError("It is revoked already.", problem_type="urn:conformant:revoked", advice="Ask the CA.")
        super().revoke(issuance, reason, private_key, context)


@breaks("revoke-key")
class OpensKeys(ConformantCA):
    def revoke(self, issuance, reason, private_key, context):
        private_key()
        super().revoke(issuance, reason, private_key, context)


@breaks("renewal-info")
class WordsForAWindow(ConformantCA):
    def renewal_info(self, issuance, context):
        return "soon"


@breaks("preflight")
class TrueForReadiness(ConformantCA):
    def preflight(self, work):
        return True


@breaks("diagnosis")
class TextsForFindings(ConformantCA):
    def diagnose(self, names, context, *, thorough):
        return ["all is well"]


@breaks("check")
class FailingCheck(ConformantCA):
    def check(self, context):
        return CheckReport(items=(CheckItem(title=message("reached", "The CA answers"), ok=False),))


@breaks("check-ca-down")
class CheckRaises(ConformantCA):
    def check(self, context):
        if self.world.is_down:
            raise ConnectionError("no route")
        return super().check(context)


@breaks("ca-down")
class StepRaisesWhenDown(ConformantCA):
    def advance(self, work):
        if self.world.is_down:
            raise ConnectionError("no route")
        return super().advance(work)


@breaks("certificate-deleted")
class DeletesOnce(ConformantCA):
    def certificate_deleted(self, certificate, context):
        if certificate.id in self.world.released:
            raise KeyError(certificate.id)
        self.world.released.add(certificate.id)


# -- repetition ------------------------------------------------------------------------------------------------------


class DeletionRefusedError(CertCoreError):
    """For the module below."""

    code = "conformant_deletion_refused"


@breaks("deletion")
class RefusesDeletion(ConformantCA):
    def certificate_deleted(self, certificate, context):
        if certificate.status != "active":
            raise DeletionRefusedError("The CA does not forget it.", advice="Wait.")


@breaks("cancellation")
class KeepsWhatIsGivenUp(ConformantCA):
    def clean_up(self, work):
        if work.certificate.status != "active" or work.issuance.outcome != "abandoned":
            super().clean_up(work)


@breaks("renews")
class SameSerial(ConformantCA):
    def chain(self, work):
        serial = int.from_bytes(work.issuance.certificate_id.encode()[-12:].rjust(12, b"c"), "big")
        return _signed(work, serial=serial)


@breaks("repeated-steps")
class RefusesRepetition(ConformantCA):
    def ordered(self, work):
        if work.issuance.id in self.world.orders:
            problem = Problem(title="There is an order already.", advice="Ask the CA.")
            return Failed(state={}, problem=problem, retry=Retry.NEVER, needs_clean_up=True)
        return super().ordered(work)


@breaks("orders-once")
class OrdersAgain(ConformantCA):
    def ordered(self, work):
        with self.world.lock:
            self.world.placed += work.issuance.id in self.world.orders
        return super().ordered(work)


@breaks("fresh-object")
class RemembersInObject(ConformantCA):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def ordered(self, work):
        self.seen[work.issuance.id] = True
        return super().ordered(work)

    def issued(self, work):
        if work.issuance.id not in self.seen:
            problem = Problem(title="The order is not known.", advice="Ask the CA.")
            return Failed(state={}, problem=problem, retry=Retry.NEVER, needs_clean_up=True)
        return super().issued(work)


@breaks("fresh-globals")
class RemembersInClass(RemembersInObject):
    seen = {}  # noqa: RUF012 - this is the fault

    def __init__(self):
        ConformantCA.__init__(self)


@breaks("certificates-apart")
class OneAtATime(ConformantCA):
    def ordered(self, work):
        self.world.last = work.issuance.csr_pem
        return super().ordered(work)

    def chain(self, work):
        return super().chain(work, csr=self.world.last)


@breaks("thread-safe")
class SharesAField(ConformantCA):
    def __init__(self):
        super().__init__()
        self.together = threading.Barrier(4)
        self.csr = ""
        self.is_seen = False

    def chain(self, work):
        self.csr = work.issuance.csr_pem
        if threading.current_thread() is not threading.main_thread() and not self.is_seen:
            self.together.wait(60)
            self.is_seen = True
        return super().chain(work, csr=self.csr)


@breaks("fork-safe")
class KeepsAConnection(ConformantCA):
    def __init__(self):
        super().__init__()
        self.connected_by = os.getpid()

    def ordered(self, work):
        if os.getpid() != self.connected_by:
            problem = Problem(title="The connection is another process's.", advice="Ask the CA.")
            return Failed(state={}, problem=problem, retry=Retry.NEVER, needs_clean_up=True)
        return super().ordered(work)


# -- pages -----------------------------------------------------------------------------------------------------------


@breaks("pages-offline")
class AsksForHints(ConformantCA):
    def profile_hints(self, context):
        socket.getaddrinfo("ca.example", 443)
        return super().profile_hints(context)


@breaks("hints")
class NoHintsForRevoked(ConformantCA):
    def hints(self, view, context):
        if view.certificate.status == "revoked":
            raise KeyError("revoked")
        return super().hints(view, context)


@breaks("profile-hints")
class TextsForHints(ConformantCA):
    def profile_hints(self, context):
        return ["The account is in order."]


@breaks("hints-size")
class ManyHints(ConformantCA):
    def hints(self, view, context):
        return super().hints(view, context) * 150


@breaks("hints-links")
class OpenLink(ConformantCA):
    def hints(self, view, context):
        return [Link(message("link", "The CA"), "http://ca.example/")]


@breaks("hints-secrets")
class ShowsSecret(ConformantCA):
    def hints(self, view, context):
        text = Message("conformant.hint", "The key is {key}.", {"key": context.profile.api_key.reveal_text()})
        return [Notice(Level.INFO, text)]


@breaks("hints-buttons")
class DeadButton(ConformantCA):
    def hints(self, view, context):
        return [ActionButton(name="generate_csr", label=message("hint"))]


@breaks("translations")
class Untranslated(ConformantCA):
    def hints(self, view, context):
        return [Notice(Level.INFO, Message("conformant.new", "A new text."))]


@breaks("profile-actions")
class BadActionName(ConformantCA):
    def profile_actions(self, context):
        return [ProfileAction(name="Ping the CA", label=message("ping"), help=message("ping.help"))]


@breaks("run-profile-actions")
class ActionReturnsText(ConformantCA):
    def run_action(self, name, values, context, *, actor):
        return "The CA answers."


@breaks("certificate-actions")
class NoActionsForExpired(ConformantCA):
    def certificate_actions(self, view, context):
        if view.certificate.status == "expired":
            raise KeyError("expired")
        return [CertificateAction(name="remind", label=message("remind"), help=message("remind.help"))]


@breaks("budgets")
class BudgetOfWords(ConformantCA):
    def budgets(self, context):
        return [BudgetUse(name="Orders per week", label=message("orders"), used=1, most=10)]


@breaks("files")
class ActiveFile(ConformantCA):
    def profile_files(self, context):
        return [ModuleFile(name="root.html", media_type="text/html", content=b"<p>", label=message("root"))]
