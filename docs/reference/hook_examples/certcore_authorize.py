import pytest

from certcore import CertCore, CertCoreError
from certcore.plugin import Permission, hookimpl


class Plugin:
    @hookimpl
    def certcore_authorize(self, actor: str, action: str, owner: str) -> bool | None:
        if actor in ("system", "root"):
            return True
        # Customers may do everything with their own certificates except get the private key.
        return owner == actor and action != Permission.CERTIFICATE_REVEAL_KEY


# test
def test_customers_see_their_own_certificates():
    with CertCore.in_memory(plugins=[Plugin()], installed_plugins=False) as core:
        assert core.authorities.list(actor="root") == []
        with pytest.raises(CertCoreError) as refusal:
            core.authorities.create("mine", module="scripted", actor="anna")
        assert refusal.value.code == "access_denied"
