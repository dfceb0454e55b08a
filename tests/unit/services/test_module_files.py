"""Files and links of CA modules: handed out to those who may see them, and nothing that harms a panel's users."""

import pytest
from attrs import evolve

from certcore import CertCore, Role, RolePolicy
from certcore.errors import NotFoundError, PluginError
from certcore.hints import Link, Message
from certcore.plugin import ModuleFile
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA

SECRET = "canary-api-key"
ROOT = ModuleFile(
    name="root.crt", media_type="application/pkix-cert", content=b"0\x82", label=Message("files.root", "Root")
)
CONTRACT = ModuleFile(
    name="contract.txt", media_type="text/plain", content=b"signed", label=Message("files.contract", "Contract")
)


class FilesCA(ScriptedCA):
    """Hands out its root, and a contract for each certificate; shows a link."""

    def __init__(self, *, now):
        super().__init__([Act.ISSUE], now=now)
        self.of_profile, self.url = [ROOT], ""

    def profile_files(self, context):
        return self.of_profile

    def certificate_files(self, view, context):
        yield evolve(CONTRACT, content=view.certificate.domain.ascii.encode())

    def hints(self, view, context):
        return [Link(Message("files.link", "Look"), self.url)] if self.url else []

    def profile_hints(self, context):
        return self.hints(None, context)


@pytest.fixture
def world():
    environment = FrozenEnvironment()
    ca = FilesCA(now=environment.now())
    roles = RolePolicy({"vera": Role.VIEWER, "system": Role.ADMINISTRATOR})
    with CertCore.in_memory(plugins=[ca.plugin(), roles], installed_plugins=False, environment=environment) as core:
        profile = core.authorities.create("files", module="scripted", settings={"api_key": SECRET}).id
        certificate_id = core.certificates.create("shop.example", authority=profile, owner="anna").id
        yield core, ca, profile, certificate_id


def test_files_are_handed_out_to_those_who_may_see(world):
    """The owner gets the files of the certificate and the root of its CA; a stranger finds nothing."""
    core, _, profile, certificate_id = world
    assert core.authorities.files(profile, actor="vera") == (ROOT,)
    files = core.certificates.files(certificate_id, actor="anna")
    assert [(file.name, file.content) for file in files] == [("contract.txt", b"shop.example"), ("root.crt", b"0\x82")]
    assert b"signed" not in repr(CONTRACT).encode()
    for call, about in ((core.authorities.files, profile), (core.certificates.files, certificate_id)):
        with pytest.raises(NotFoundError):
            call(about, actor="mallory")


def test_a_module_without_files_has_none(bench):
    """Nothing is asked of a module that does not have the power, nor of a certificate without a CA profile."""
    assert bench.core.authorities.files(bench.authority.id) == ()
    certificate = bench.draft()
    assert bench.core.certificates.files(certificate.id) == ()
    bench.core.certificates.edit(certificate.id, authority="")
    assert bench.core.certificates.files(certificate.id) == ()


def test_of_two_files_with_one_name_the_certificates_own_counts(world):
    """A panel serves files by name, so there is one of each."""
    core, ca, _, certificate_id = world
    ca.of_profile = [evolve(ROOT, name="CONTRACT.txt"), ROOT]
    names = [file.name for file in core.certificates.files(certificate_id)]
    assert names == ["contract.txt", "root.crt"]


@pytest.mark.parametrize(
    "name",
    [
        "../root",
        "a/b",
        "a\\b",
        ".hidden",
        "",
        "x" * 231,
        "a b",
        "a\nb",
        "con",
        "NUL.crt",
        "root.",
        "r\u00f6ot",
        "a:b",
        "-x",
    ],
)
def test_a_file_with_an_unsafe_name_is_not_handed_out(world, name):
    """The module is at fault, and the error names it."""
    core, ca, profile, certificate_id = world
    ca.of_profile = [evolve(ROOT, name=name)]
    with pytest.raises(PluginError, match="a file named"):
        core.authorities.files(profile)
    with pytest.raises(PluginError, match="a file named"):
        core.certificates.files(certificate_id)


UNSOUND = {
    "two alike": ([ROOT, evolve(ROOT, name="ROOT.crt")], "two files named"),
    "too many": ([evolve(ROOT, name=f"{number}.crt") for number in range(21)], "20 files"),
    "too large": ([evolve(ROOT, content=bytes(10 * 1024 * 1024 + 1))], "bytes are allowed"),
    "a page": ([evolve(ROOT, media_type="text/html")], "media type"),
    "a drawing": ([evolve(ROOT, media_type="image/svg+xml")], "media type"),
    "a script": ([evolve(ROOT, media_type="text/javascript")], "media type"),
    "a type with parameters": ([evolve(ROOT, media_type="text/plain; charset=utf-8")], "media type"),
    "a header of its own": ([evolve(ROOT, media_type="text/plain\r\nX-Evil: 1")], "media type"),
    "a private key": ([evolve(ROOT, content=b"-----BEGIN EC PRIVATE KEY-----")], "private key"),
    "a secret": ([evolve(ROOT, content=f"key={SECRET}".encode())], "secret of the profile"),
    "text": ([evolve(ROOT, content="text")], "whose content is a str"),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_what_must_not_be_handed_out_is_the_modules_fault(world, what):
    """Nothing of it leaves, and the secret is not in the error."""
    core, ca, profile, _ = world
    ca.of_profile, words = UNSOUND[what]
    with pytest.raises(PluginError, match=words) as refused:
        core.authorities.files(profile)
    assert SECRET not in str(refused.value.as_dict())


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [
        ("https://ca.example/terms?a=b#c", True),
        ("http://ca.example/terms", False),
        ("javascript:alert(1)", False),
        ("//ca.example", False),
        ("https://user:password@ca.example/", False),
        ("https:///nowhere", False),
        ('https://ca.example/"onmouseover="alert(1)', False),
        ("ftp://ca.example/", False),
    ],
)
def test_links_of_modules_are_https_only(world, url, is_shown):
    """Another link is not shown, on either page; instead the page says which module is at fault."""
    core, ca, profile, certificate_id = world
    ca.url = url
    for hints in (core.certificates.hints(certificate_id), core.authorities.hints(profile)):
        links = [hint for hint in hints if isinstance(hint, Link)]
        assert bool(links) is is_shown
        troubles = [hint for hint in hints if getattr(getattr(hint, "text", None), "key", "") == "core.module_failed"]
        assert bool(troubles) is not is_shown
