from certcore import CertCore
from certcore.plugin import hookimpl


class Plugin:
    def __init__(self, domains: dict[str, str]):
        self.domains = domains  # the panel's own table: domain -> customer

    @hookimpl
    def certcore_controls_name(self, owner: str, name: str) -> bool | None:
        for domain, customer in self.domains.items():
            if name == domain or name.endswith(f".{domain}"):
                return customer == owner
        return None  # not a domain of this panel: the CA's validation decides


# test
def test_only_the_customer_controls_the_domain():
    plugin = Plugin({"shop.example": "anna"})
    answers = [plugin.certcore_controls_name(owner, "www.shop.example") for owner in ("anna", "ben")]
    assert answers == [True, False]
    assert plugin.certcore_controls_name("anna", "elsewhere.example") is None
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False) as core:
        assert core.plugin_failures == ()
