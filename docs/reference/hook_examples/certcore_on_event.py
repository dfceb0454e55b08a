from certcore import CertCore
from certcore.plugin import CertificateSource, Event, EventKind, NotFoundError, hookimpl
from certcore.testing import Act, FrozenEnvironment, ScriptedCA


class Plugin:
    def __init__(self):
        self.served: dict[str, str] = {}

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        if event.kind is not EventKind.INSTALLED:
            return
        try:
            exported = certificates.export(event.certificate_id, with_key=False)
        except NotFoundError:  # it was deleted meanwhile
            return
        self.served[exported.domain] = exported.fullchain_pem  # it does not matter if the event comes twice


# test
def test_a_new_leaf_is_served():
    environment = FrozenEnvironment()
    ca, plugin = ScriptedCA([Act.ISSUE], now=environment.now()), Plugin()
    plugins = [ca.plugin(), plugin]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        profile = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        core.certificates.generate_csr(certificate.id)
        core.reconcile(certificate.id)
        core.deliver_events()
        assert plugin.served["shop.example"].startswith("-----BEGIN CERTIFICATE-----")
