"""Obtain a certificate and write its files for a server, if this is not done already.

    python obtain.py DOMAIN CA_PROFILE FOLDER

Run from cron or a systemd timer, it also renews the certificate when that is due. The store is ``certcore.db``
with ``keyring.json`` in the working directory. Create it there, with a CA profile, once:

    certcore init --database certcore.db --keyring keyring.json
    certcore authority add CA_PROFILE --module puq_acme --set ... --database certcore.db --keyring keyring.json

Without these options the command uses a store in a folder of the user.
"""

import sys
from pathlib import Path

import certcore
from certcore import CertificateView, write_versioned
from certcore.hints import DnsRecords


def main(domain: str, profile: str, folder: str) -> None:
    with certcore.CertCore.open("sqlite:///certcore.db", keyring="keyring.json") as core:

        def progress(view: CertificateView) -> None:
            print(f"{domain} is {view.certificate.status}", flush=True)
            for hint in core.certificates.hints(view.certificate.id):
                if isinstance(hint, DnsRecords) and view.active is None:
                    for row in hint.rows:
                        print(f"  to be set in the DNS: {row.name} {row.type} {row.value}", flush=True)

        view = core.obtain(domain, authority=profile, timeout=300, progress=progress)
        files = core.certificates.export(view.certificate.id, "nginx", reason="obtain.py", actor="obtain.py").files
        written = write_versioned(Path(folder), files, at=view.now)
        print(f"{domain}: {view.days_remaining} days remaining; new files: {', '.join(written.changed) or 'none'}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except certcore.CertCoreError as error:
        sys.exit(str(error))
