"""A certification authority in process (RFC 8555, RFC 9773), behind the HTTP port of the ACME module.

It checks what a real one checks: signatures, nonces, URLs, accounts, TXT values, requests. Its clock is handed in.
"""

import base64
import hashlib
import json
from datetime import datetime, timedelta
from email.utils import format_datetime

from attrs import define, field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from certcore.net.http import HttpReply
from certcore_puq_acme.protocol.errors import TransportError
from support.simulation.simulated_pki import pem_of, pki_at

BASE = "https://ca.simulated.test"
_ACME = "urn:ietf:params:acme:error:"
_PLAIN = {"directory": "GET", "newNonce": "HEAD", "renewalInfo": "GET"}


class RefusedError(Exception):
    """The CA says no."""

    def __init__(self, status, kind, detail):
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail


@frozen(kw_only=True)
class Request:
    """What was asked: the kind of request, its URL's last part, and the payload of a signed one."""

    kind: str
    url: str
    ident: str = ""
    payload: object = None
    account: str = ""


@frozen(kw_only=True)
class Reply:
    """What is answered; a body that is no bytes is JSON."""

    status: int = 200
    body: object = b""
    headers: dict = field(factory=dict)


@frozen(kw_only=True)
class Asked:
    """One request as it was written down."""

    at: datetime
    kind: str
    #: Which of its kind it was, from 1.
    occurrence: int
    #: That of the answer; 0 when there was none.
    status: int
    #: The names, for an order that was placed.
    names: tuple = ()
    #: The names that an order was asked for.
    wanted: tuple = ()
    #: The account that asked, of a signed request.
    account: str = ""


@define(eq=False)
class _Order:
    number: int
    account: str
    names: tuple
    placed_at: datetime
    authorizations: list
    status: str = "pending"
    leaf: x509.Certificate = None
    #: Looks at it since it was finalized: a CA takes a moment to issue.
    looks: int = 0
    replaces: str = ""


@define(eq=False)
class _Authorization:
    number: int
    account: str
    name: str
    wildcard: bool
    token: str
    status: str = "pending"
    error: dict = None


def problem(status, kind, detail):
    """An error as RFC 8555 section 6.7 has it."""
    headers = {"Content-Type": "application/problem+json"}
    return Reply(status=status, body={"type": f"{_ACME}{kind}", "detail": detail}, headers=headers)


def _unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@define(eq=False)
class SimulatedCA:
    """One CA, which lives as long as the object.

    Args:
        environment: Its clock.
        txt_values: What it sees in the DNS at a name, through CNAMEs.
        lifetime: How long its leaves are valid.
    """

    environment: object
    txt_values: object
    lifetime: timedelta = timedelta(days=45)
    #: What happens instead of an answer: from a request, its occurrence and a way to handle it, to a reply.
    tamper: object = None
    #: What its leaves look like: from this CA, the names and the moment to (names, start, end).
    dates: object = None
    #: What its chains look like: from its PKI and a leaf to certificates.
    chain: object = None
    #: When it wants a leaf to be renewed: from the leaf and the moment to (start, end).
    window: object = None
    #: More members of its directory: ``meta``, say.
    directory: dict = field(factory=dict)
    #: Everything that it was asked.
    asked: list = field(factory=list)
    pki: object = field(init=False)
    nonces: set = field(factory=set)
    accounts: dict = field(factory=dict)
    orders: dict = field(factory=dict)
    authorizations: dict = field(factory=dict)
    _counts: dict = field(factory=dict)
    _given: int = 0

    def __attrs_post_init__(self):
        self.pki = pki_at(self.environment.now())

    # -- the HTTP port -------------------------------------------------------------------------------------------

    def request(self, method, url, *, body=None, headers=None, home=""):
        """`certcore_puq_acme.protocol.http_port.HttpPort`."""
        if not url.startswith(f"{BASE}/"):
            raise TransportError("unresolvable", f"There is no server for {url}.", host="elsewhere")
        assert home == f"{BASE}/directory"
        kind, _, ident = url.removeprefix(f"{BASE}/").partition("/")
        if kind == "order" and (order := self.orders.get(ident)) and order.status not in ("pending", "ready"):
            kind = "finalized order"
        if method == "HEAD":
            assert kind == "newNonce"
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        names = ()

        def handle():
            nonlocal names
            try:
                asked = self._verified(Request(kind=kind, url=url, ident=ident), method, body, headers or {})
                reply = self._handle(asked)
                if kind == "newOrder":
                    names = tuple(sorted(identifier["value"] for identifier in asked.payload["identifiers"]))
            except RefusedError as refused:
                return problem(refused.status, refused.kind, refused.detail)
            return reply

        now, status = self.environment.now(), 0
        try:
            reply = handle() if self.tamper is None else self.tamper(self, kind, count, handle)
            status = reply.status
        finally:
            account = self._signed_by(body) if body else ""
            wanted = self._names_in(body) if kind == "newOrder" else ()
            asked = Asked(
                at=now, kind=kind, occurrence=count, status=status, names=names, wanted=wanted, account=account
            )
            self.asked.append(asked)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        sent = {"Date": format_datetime(now, usegmt=True), "Replay-Nonce": self._nonce(), **reply.headers}
        if kind in ("directory", "renewalInfo"):
            del sent["Replay-Nonce"]
        return HttpReply(
            status=reply.status,
            url=url,
            body=b"" if method == "HEAD" else content,
            headers=tuple((name.lower(), str(value)) for name, value in sent.items()),
        )

    def close(self):
        """Nothing is held."""

    def _nonce(self):
        self._given += 1
        nonce = f"nonce-{self._given}"
        self.nonces.add(nonce)
        return nonce

    @staticmethod
    def _names_in(body):
        payload = json.loads(_unb64(json.loads(body)["payload"]))
        return tuple(sorted(identifier["value"] for identifier in payload["identifiers"]))

    def _signed_by(self, body):
        """The account that a request says it is of."""
        protected = json.loads(_unb64(json.loads(body)["protected"]))
        return protected.get("kid") or self._account_url(protected["jwk"])

    # -- signatures ----------------------------------------------------------------------------------------------

    def _verified(self, asked, method, body, headers):
        """The request with payload and account, after everything that RFC 8555 section 6 demands."""
        if asked.kind in _PLAIN:
            if method != _PLAIN[asked.kind]:
                raise RefusedError(405, "malformed", "no such method here")
            return asked
        if method != "POST" or headers.get("Content-Type") != "application/jose+json":
            raise RefusedError(415, "malformed", "a signed POST is due here")
        envelope = json.loads(body)
        protected = json.loads(_unb64(envelope["protected"]))
        if protected["url"] != asked.url:
            raise RefusedError(401, "unauthorized", "the signature is for another URL")
        if protected["nonce"] not in self.nonces:
            raise RefusedError(400, "badNonce", "this nonce was never given, or is used already")
        self.nonces.remove(protected["nonce"])
        if ("jwk" in protected) is ("kid" in protected) or ("jwk" in protected) is not (asked.kind == "newAccount"):
            raise RefusedError(400, "malformed", "a key for newAccount, an account's URL for everything else")
        if "jwk" in protected:
            jwk, account = protected["jwk"], ""
        else:
            account = protected["kid"]
            if account not in self.accounts:
                raise RefusedError(400, "accountDoesNotExist", "there is no such account")
            jwk = self.accounts[account]
        self._check_signature(envelope, protected, jwk)
        payload = _unb64(envelope["payload"])
        found = {"jwk": jwk} if asked.kind == "newAccount" else {}
        found = found | json.loads(payload) if payload else None
        return Request(kind=asked.kind, url=asked.url, ident=asked.ident, payload=found, account=account)

    @staticmethod
    def _check_signature(envelope, protected, jwk):
        if protected["alg"] != "ES256" or jwk["crv"] != "P-256":
            raise RefusedError(400, "badSignatureAlgorithm", "ES256 only")
        x, y = (int.from_bytes(_unb64(jwk[part])) for part in "xy")
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        raw = _unb64(envelope["signature"])
        signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        try:
            signed = f"{envelope['protected']}.{envelope['payload']}".encode()
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise RefusedError(401, "unauthorized", "the signature is wrong") from None

    # -- resources -----------------------------------------------------------------------------------------------

    def _handle(self, asked):
        handlers = {
            "directory": self._directory,
            "newNonce": lambda _: Reply(),
            "newAccount": self._new_account,
            "newOrder": self._new_order,
            "authorization": self._authorization,
            "challenge": self._challenge,
            "order": self._show_order,
            "finalized order": self._show_order,
            "finalize": self._finalize,
            "certificate": self._certificate,
            "alternate": self._certificate,
            "renewalInfo": self._renewal_info,
            "account": lambda one: Reply(body={"status": "valid"}),
        }
        if asked.kind not in handlers:
            raise RefusedError(404, "malformed", "there is no such page")
        return handlers[asked.kind](asked)

    def _directory(self, asked):
        kinds = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo")
        return Reply(body={kind: f"{BASE}/{kind}" for kind in kinds} | self.directory)

    def _new_account(self, asked):
        url = self._account_url(asked.payload["jwk"])
        is_known = url in self.accounts
        if not is_known and asked.payload.get("onlyReturnExisting"):
            raise RefusedError(400, "accountDoesNotExist", "no account has this key")
        self.accounts[url] = asked.payload["jwk"]
        return Reply(status=200 if is_known else 201, body={"status": "valid"}, headers={"Location": url})

    def _account_url(self, jwk):
        return f"{BASE}/account/{self._thumbprint(jwk)[:12]}"

    @staticmethod
    def _thumbprint(jwk):
        canonical = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
        return _b64(hashlib.sha256(json.dumps(canonical, separators=(",", ":"), sort_keys=True).encode()).digest())

    def _new_order(self, asked):
        number = len(self.orders) + 1
        names = tuple(identifier["value"] for identifier in asked.payload["identifiers"])
        order = _Order(number, asked.account, names, self.environment.now(), [])
        for name in names:
            ident = str(len(self.authorizations) + 1)
            wildcard, base = name.startswith("*."), name.removeprefix("*.")
            made = _Authorization(int(ident), asked.account, base, wildcard, _b64(f"token-{ident}-{number}".encode()))
            self.authorizations[ident] = made
            order.authorizations.append(made)
        order.replaces = asked.payload.get("replaces", "")
        self.orders[str(number)] = order
        return Reply(status=201, body=self._order_json(order), headers={"Location": f"{BASE}/order/{number}"})

    def _of(self, collection, asked):
        found = collection.get(asked.ident)
        if found is None or found.account != asked.account:
            raise RefusedError(404, "malformed", "there is no such thing")
        return found

    def _order_json(self, order):
        if order.status == "pending" and all(authorization.status == "valid" for authorization in order.authorizations):
            order.status = "ready"
        if order.status == "pending" and any(
            authorization.status == "invalid" for authorization in order.authorizations
        ):
            order.status = "invalid"
        document = {
            "status": order.status,
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "authorizations": [
                f"{BASE}/authorization/{authorization.number}" for authorization in order.authorizations
            ],
            "finalize": f"{BASE}/finalize/{order.number}",
        }
        if order.status == "valid":
            document["certificate"] = f"{BASE}/certificate/{order.number}"
        return document

    def _show_order(self, asked):
        order = self._of(self.orders, asked)
        if order.status == "processing":
            order.looks += 1
            order.status = "valid"
        return Reply(body=self._order_json(order))

    def _authorization(self, asked):
        found = self._of(self.authorizations, asked)
        document = {
            "status": found.status,
            "identifier": {"type": "dns", "value": found.name},
            "challenges": [self._challenge_json(found)],
        }
        return Reply(body=document | ({"wildcard": True} if found.wildcard else {}))

    @staticmethod
    def _challenge_json(found):
        error = {"error": found.error} if found.error else {}
        url = f"{BASE}/challenge/{found.number}"
        return {"type": "dns-01", "url": url, "status": found.status, "token": found.token, **error}

    def _challenge(self, asked):
        found = self._of(self.authorizations, asked)
        if asked.payload is not None and found.status == "pending":
            thumbprint = self._thumbprint(self.accounts[asked.account])
            wanted = _b64(hashlib.sha256(f"{found.token}.{thumbprint}".encode()).digest())
            if wanted in self.txt_values(f"_acme-challenge.{found.name}"):
                found.status = "valid"
            else:
                found.status = "invalid"
                found.error = {"type": f"{_ACME}unauthorized", "detail": "No TXT record found"}
        return Reply(body=self._challenge_json(found))

    def _finalize(self, asked):
        order = self._of(self.orders, asked)
        self._order_json(order)
        if order.status != "ready":
            raise RefusedError(403, "orderNotReady", f"the order is {order.status}")
        csr = x509.load_der_x509_csr(_unb64(asked.payload["csr"]))
        alternative = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if not csr.is_signature_valid or set(alternative.get_values_for_type(x509.DNSName)) != set(order.names):
            raise RefusedError(403, "badCSR", "the request is not one for these names")
        now = self.environment.now().replace(microsecond=0)
        dates = (order.names, now - timedelta(hours=1), now - timedelta(hours=1) + self.lifetime)
        names, start, end = self.dates(order.names, now) if self.dates else dates
        order.leaf = self.pki.leaf(csr, names, start, end)
        order.status = "processing"
        return Reply(body=self._order_json(order))

    def _certificate(self, asked):
        order = self._of(self.orders, asked)
        if order.status != "valid":
            raise RefusedError(404, "malformed", "there is no certificate yet")
        if asked.kind == "alternate":
            return Reply(body=pem_of(order.leaf, self.pki.alternate))
        chain = self.chain(self.pki, order.leaf) if self.chain else (order.leaf, self.pki.intermediate.certificate)
        link = {"Link": f'<{BASE}/alternate/{order.number}>;rel="alternate"'}
        return Reply(body=pem_of(*chain), headers={"Content-Type": "application/pem-certificate-chain", **link})

    def _renewal_info(self, asked):
        number = int.from_bytes(_unb64(asked.ident.partition(".")[2]))
        leaves = (order.leaf for order in self.orders.values() if order.leaf is not None)
        leaf = next((leave for leave in leaves if leave.serial_number == number), None)
        if leaf is None:
            raise RefusedError(404, "malformed", "there is no such certificate")
        start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        third = (end - start) / 3
        usual = (end - third, end - third + (end - start) / 30)
        first, last = self.window(leaf, self.environment.now()) if self.window else usual
        body = {"suggestedWindow": {"start": first.isoformat(), "end": last.isoformat()}}
        return Reply(body=body, headers={"Retry-After": "86400"})
