"""Obtain many certificates at once from asyncio.

    python obtain_many.py CA_PROFILE DOMAIN...

certcore is synchronous and thread-safe: each blocking call runs in a thread, so the loop is not blocked.
"""

import asyncio
import sys

import certcore


async def main(profile: str, domains: list[str]) -> None:
    core = certcore.CertCore.open("sqlite:///certcore.db", keyring="keyring.json")
    try:
        calls = [asyncio.to_thread(core.obtain, domain, authority=profile, timeout=300) for domain in domains]
        for domain, result in zip(domains, await asyncio.gather(*calls, return_exceptions=True), strict=True):
            if isinstance(result, certcore.CertCoreError):
                print(f"{domain}: {result}")
            elif isinstance(result, BaseException):
                raise result
            else:
                print(f"{domain}: active until {result.certificate.not_after:%Y-%m-%d}")
    finally:
        core.close()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2:]))
    except certcore.CertCoreError as error:
        sys.exit(str(error))
