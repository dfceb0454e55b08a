"""What a type checker knows about a CA module: the settings that a module is given have the module's own types."""

import textwrap

import pytest
from mypy import api

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


def _check(tmp_path, name="Typed", types="[Profile, NoSettings]", attributes="", use=""):
    file = tmp_path / "module.py"
    file.write_text(textwrap.dedent(MODULE.format(name=name, types=types, attributes=attributes, use=use)))
    report, errors, _ = api.run(["--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"), str(file)])
    assert not errors
    return report


@pytest.mark.slow(reason="runs mypy without a cache")
def test_a_type_checker_knows_the_settings_of_a_module(tmp_path):
    """`CAModule[Profile, Settings]` gives `work.profile` and `work.settings` their types; a wrong use is an error."""
    report = _check(tmp_path, use="work.profile.port")
    assert 'Revealed type is "module.Profile"' in report
    assert 'Revealed type is "certcore.ports.ca_module.NoSettings"' in report
    assert '"Profile" has no attribute "port"' in report


@pytest.mark.slow(reason="runs mypy without a cache")
def test_a_type_checker_knows_the_public_names(tmp_path):
    """Names that are loaded at their first use have their types, and one that does not exist is an error."""
    report = _check(tmp_path, use="reveal_type(certcore.CertCore.in_memory()); certcore.CertCor")
    assert 'Revealed type is "certcore.core.CertCore"' in report
    assert 'Module has no attribute "CertCor"' in report
    assert report.count("error:") == 1


@pytest.mark.slow(reason="runs mypy without a cache")
def test_a_module_may_leave_its_types_out(tmp_path):
    """A module that names no types is accepted by a strict type checker, and its settings are Any."""
    report = _check(tmp_path, types="", attributes="profile_type = Profile", use="work.profile.port")
    assert "error" not in report
    assert report.count('Revealed type is "Any"') == 2


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
