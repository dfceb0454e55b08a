"""What uses a CA module: CA profiles, certificates, and threads."""

import threading

import certcore
from certcore.model.lifecycle import Status
from support.broken_modules import SECRET


class Named:
    """Registers a module under a name of its own."""

    name = "healthy"

    def __init__(self, module):
        self.module = module

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.module]


def profile_of(core, module="wild"):
    """A CA profile of a module."""
    return core.authorities.create(module, module=module, settings={"api_key": SECRET}).id


def requested(core, profile, domain="wild.example"):
    """A certificate that is asked for."""
    return core.certificates.generate_csr(core.certificates.create(domain, authority=profile).id).id


def activated(core, profile):
    """A certificate that is in service."""
    certificate_id = requested(core, profile)
    for _ in range(4):
        core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE
    return certificate_id


def in_thread(function):
    """What a call outside of the main thread raised, as in a worker; None when it did not."""
    caught = []

    def run():
        try:
            function()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return caught[0] if caught else None
