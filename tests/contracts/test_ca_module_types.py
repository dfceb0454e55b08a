"""What a type checker knows about a CA module: the settings that a module is given have the module's own types."""

import textwrap

import pytest
from mypy import api

import certcore

MODULE = """
    from attrs import frozen

    import certcore
    from certcore.plugin import CAModule, NoSettings, StepResult, Waiting, Work, form


    @frozen(kw_only=True)
    class Profile:
        url: str = form.text("URL")


    class {name}(CAModule{types}):
        name = "example"
        title = "Example"
        {attributes}

        def advance(self, work: Work{types}) -> StepResult:
            reveal_type(work.profile)
            reveal_type(work.settings)
            {use}
            raise NotImplementedError
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """mypy's cache: the first test fills it, the others take a moment."""
    return tmp_path_factory.mktemp("mypy")


def _check(tmp_path, cache, name="Typed", types="[Profile, NoSettings]", attributes="", use=""):
    return _report(tmp_path, cache, MODULE.format(name=name, types=types, attributes=attributes, use=use))


def _report(tmp_path, cache, source):
    file = tmp_path / "module.py"
    file.write_text(textwrap.dedent(source))
    report, errors, _ = api.run(["--strict", "--no-error-summary", "--cache-dir", str(cache), str(file)])
    assert not errors
    return report


@pytest.mark.slow(reason="mypy reads the whole of certcore")
def test_a_type_checker_knows_the_settings_of_a_module(tmp_path, cache):
    """`CAModule[Profile, Settings]` gives `work.profile` and `work.settings` their types; a wrong use is an error."""
    report = _check(tmp_path, cache, use="work.profile.port")
    assert 'Revealed type is "module.Profile"' in report
    assert 'Revealed type is "certcore.ports.ca_module.NoSettings"' in report
    assert '"Profile" has no attribute "port"' in report


@pytest.mark.slow(reason="mypy reads the whole of certcore")
def test_a_type_checker_knows_the_public_names(tmp_path, cache):
    """Names that are loaded at their first use have their types, and one that does not exist is an error."""
    report = _check(tmp_path, cache, use="reveal_type(certcore.CertCore.in_memory()); certcore.CertCor")
    assert 'Revealed type is "certcore.core.CertCore"' in report
    assert 'Module has no attribute "CertCor"' in report
    assert report.count("error:") == 1


MODULES = """
    from collections.abc import Callable

    from certcore.plugin import (
        CAModule, Issuance, ModuleContext, NoSettings, RevocationReason, Secret, SigningCA, StepResult,
        SupportsRevocation, Work,
    )


    class Forgetful(CAModule):
        name = "forgetful"
        title = "Without profile_type"

        def advance(self, work: Work) -> StepResult:
            raise NotImplementedError


    class SigningForgetful(SigningCA):
        name = "forgetful"
        title = "Without profile_type"

        def sign(self, csr: object, context: object) -> str:
            raise NotImplementedError


    class Stepping(CAModule[NoSettings, NoSettings]):
        name = "stepping"
        title = "A module that is right"

        def advance(self, work: Work) -> StepResult:
            raise NotImplementedError


    class Misfit(Stepping, SupportsRevocation):
        def revoke(self, issuance: Issuance, context: ModuleContext) -> None:
            raise NotImplementedError


    class Unfinished(Stepping, SupportsRevocation):
        pass


    class Complete(Stepping, SupportsRevocation):
        def revoke(
            self,
            issuance: Issuance,
            reason: RevocationReason,
            private_key: Callable[[], Secret | None],
            context: ModuleContext[NoSettings],
        ) -> None:
            raise NotImplementedError


    made: list[CAModule[NoSettings, NoSettings]] = [Stepping(), Misfit(), Complete()]
    Unfinished()
"""


@pytest.mark.slow(reason="mypy reads the whole of certcore")
def test_a_type_checker_refuses_what_loading_refuses(tmp_path, cache):
    """A module without ``profile_type``, a power with a wrong signature, and one without its method are errors."""
    report = _report(tmp_path, cache, MODULES)
    errors = [line.partition("error: ")[2] for line in report.splitlines() if " error: " in line]
    assert errors == [
        'Missing type arguments for generic type "CAModule"  [type-arg]',
        'Missing type arguments for generic type "SigningCA"  [type-arg]',
        'Signature of "revoke" incompatible with supertype "certcore.ports.ca_module.SupportsRevocation"  [override]',
        'Cannot instantiate abstract class "Unfinished" with abstract attribute "revoke"  [abstract]',
    ]


def test_loading_refuses_what_a_type_checker_refuses(tmp_path):
    """The same modules are left out with the reason, by whoever uses no type checker."""
    made = {}
    source = textwrap.dedent(MODULES).partition("made:")[0]
    exec(compile(source, "modules.py", "exec"), made)

    class Plugin:
        def __init__(self, name):
            self.module = made[name]

        @certcore.hookimpl
        def certcore_ca_modules(self):
            return [self.module()]

    def failure(name):
        with certcore.CertCore.in_memory(plugins=[Plugin(name)], installed_plugins=False) as core:
            return " ".join(failure.reason for failure in core.plugin_failures)

    assert "profile_type of the module 'forgetful' must be an attrs class" in failure("Forgetful")
    assert "profile_type of the module 'forgetful' must be an attrs class" in failure("SigningForgetful")
    assert "revoke of the module 'stepping' does not fit" in failure("Misfit")
    assert "abstract method" in failure("Unfinished")
    assert failure("Stepping") == failure("Complete") == ""


def test_the_types_of_a_module_are_its_forms():
    """The two types become `profile_type` and `certificate_type`, unless the class sets them itself."""
    from certcore.ports.ca_module import CAModule, NoSettings

    class Profile:
        pass

    class Settings:
        pass

    class Typed(CAModule[Profile, Settings]):
        pass

    class Own(CAModule[Profile, Settings]):
        profile_type = Settings

    class Untyped(CAModule):
        profile_type = Profile

    class Inherited(Typed):
        pass

    assert (Typed.profile_type, Typed.certificate_type) == (Profile, Settings)
    assert (Own.profile_type, Own.certificate_type) == (Settings, Settings)
    assert (Untyped.profile_type, Untyped.certificate_type) == (Profile, NoSettings)
    assert (Inherited.profile_type, Inherited.certificate_type) == (Profile, Settings)
