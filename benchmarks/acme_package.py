"""CPU time of what the `acme` package and `certcore_puq_acme.protocol.jws` both do.

    python benchmarks/acme_package.py [--times 2000]

Signed requests: seven for a certificate. Key authorizations: one for a name. Bindings: one for an account.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import josepy
from acme import challenges, jws, messages

from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import AccountSigner, generate_account_key, load_account_key

_URL, _KID, _NONCE = "https://ca.test/acme/order", "https://ca.test/acme/acct/1", "AAAAAAAAAAAAAAAAAAAAAA"
_PAYLOAD = b'{"identifiers":[{"type":"dns","value":"shop.example"}]}'
_TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
_ROUNDS = 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=2000)
    times = options.parse_args().times
    key = load_account_key(generate_account_key())
    signer = AccountSigner(key)
    client = AcmeClient(_URL, key=key, http=Http(), account_url=_KID)
    challenge = challenges.DNS01(token=josepy.b64decode(_TOKEN))

    def acme_jws() -> str:
        nonce = josepy.b64decode(_NONCE)
        signed = jws.JWS.sign(_PAYLOAD, key=key, alg=josepy.ES256, nonce=nonce, url=_URL, kid=_KID)
        return str(signed.json_dumps())

    def acme_binding() -> object:
        return messages.ExternalAccountBinding.from_data(key.public_key(), "kid-1", _TOKEN, {"newAccount": _URL})

    _show("signed request, acme", acme_jws, times)
    _show("signed request, ours", lambda: signer.sign(_PAYLOAD, url=_URL, nonce=_NONCE, kid=_KID), times)
    _show("dns-01 value, acme", lambda: challenge.validation(key), times)
    _show("dns-01 value, ours", lambda: client.dns01_value(_TOKEN), times)
    _show("account binding, acme", acme_binding, times)


def _show(what: str, function: Callable[[], object], times: int) -> None:
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(times // _ROUNDS):
            function()
        best = min(best, time.thread_time() - begun)
    print(f"{what:23} {best / (times // _ROUNDS) * 1e6:7.1f} us of CPU")


if __name__ == "__main__":
    main()
