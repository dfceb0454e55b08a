from datetime import timedelta

from certcore import CertCore
from certcore.plugin import NoSettings, SigningCA, SigningPendingError, hookimpl


class PaperCA(SigningCA[NoSettings, NoSettings]):
    name = "paper"
    title = "By letter"

    def sign(self, csr, context):
        raise SigningPendingError("The letter is on its way.", look_again=timedelta(days=1))


class Plugin:
    @hookimpl
    def certcore_ca_modules(self) -> list[PaperCA]:
        return [PaperCA()]


# test
def test_it_waits_for_the_letter():
    with CertCore.in_memory(plugins=[Plugin()], installed_plugins=False) as core:
        profile = core.authorities.create("paper", module="paper")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        core.certificates.generate_csr(certificate.id)
        assert core.reconcile(certificate.id).status == "processing"
