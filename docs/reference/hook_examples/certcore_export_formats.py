from certcore import CertCore
from certcore.plugin import Exported, ExportedFile, ExportFormat, ExportOptions, Use, hookimpl
from certcore.testing import Act, FrozenEnvironment, ScriptedCA


def make(exported: Exported, options: ExportOptions) -> list[ExportedFile]:
    return [ExportedFile(name=f"{exported.file_stem}.txt", content=" ".join(exported.names).encode())]


class Plugin:
    @hookimpl
    def certcore_export_formats(self) -> list[ExportFormat]:
        return [ExportFormat(name="names", title="The names", private_key=Use.NEVER, make=make)]


# test
def test_the_names_are_exported():
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    plugins = [ca.plugin(), Plugin()]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        profile = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        core.certificates.generate_csr(certificate.id)
        core.reconcile(certificate.id)
        (file,) = core.certificates.export(certificate.id, format="names").files
        assert (file.name, file.content) == ("shop.example.txt", b"shop.example")
