"""Packages with plugins, as pip would install them."""

import sys

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package: its name, its entry points, and its modules by their names."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def installed(package, entry_points, **modules):
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[certcore]\n" + "\n".join(entry_points) + "\n")
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)

    yield installed
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
