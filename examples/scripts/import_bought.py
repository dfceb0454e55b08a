"""Import a certificate that was bought elsewhere, and let an ACME CA renew it.

    python import_bought.py CERTIFICATE PRIVATE_KEY [CA_PROFILE]

The files may be PEM, DER or PKCS#12, with the chain in either of them, in any order. The store is that of obtain.py.
"""

import sys
from pathlib import Path

import certcore


def main(leaf: str, private_key: str, profile: str | None = None) -> None:
    with certcore.CertCore.open("sqlite:///certcore.db", keyring="keyring.json") as core:
        files = Path(leaf).read_bytes(), Path(private_key).read_bytes()
        for warning in core.certificates.check_import(*files).warnings:
            print(f"note: {warning.text}")
        authority = core.authorities.get(profile).id if profile else None
        certificate = core.certificates.import_certificate(*files, authority=authority)
        view = core.certificates.view(certificate.id)
        print(f"{', '.join(map(str, certificate.names))}: {certificate.status}, {view.days_remaining} days remaining")
        print(f"renews automatically from {view.renews_at:%Y-%m-%d}" if view.renews_at else "is not renewed")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except certcore.CertCoreError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename} cannot be read: {error.strerror}")
