from certcore import CertCore
from certcore.hints import Hint, Level, Link, Message, Notice
from certcore.plugin import CertificateView, hookimpl
from certcore.testing import FrozenEnvironment, ScriptedCA


class Plugin:
    @hookimpl
    def certcore_hints(self, view: CertificateView) -> list[Hint]:
        if view.certificate.status != "draft":
            return []
        text = Message("panel.help", "Our support helps you with {domain}.", {"domain": view.certificate.domain})
        label = Message("panel.help.link", "Help")
        return [Notice(Level.INFO, text), Link(label, "https://panel.example/help")]


# test
def test_a_draft_has_a_link_to_the_support():
    ca = ScriptedCA(now=FrozenEnvironment().now())
    with CertCore.in_memory(plugins=[ca.plugin(), Plugin()], installed_plugins=False) as core:
        profile = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        links = [hint.url for hint in core.certificates.hints(certificate.id) if isinstance(hint, Link)]
        assert links == ["https://panel.example/help"]
