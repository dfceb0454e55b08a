"""The page about broken plugins: made by loading, or calling, those of the tests."""

from __future__ import annotations

import importlib
import logging
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace

from certcore import CertCore, errors
from certcore.adapters.plugins.entry_points import InstalledPlugin
from certcore.adapters.plugins.loading import Loader
from certcore.engine.step_validation import sound_step
from certcore.model.plugin_calls import call_for_hints, call_plugin
from certcore.model.secret import Secret

__all__ = ["broken_plugin_page"]


def broken_plugin_page() -> str:
    """Every broken plugin of the tests, and what certcore says of it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    plugins = importlib.import_module("support.broken_plugins")
    refused = plugins.BROKEN
    broken = importlib.import_module("support.broken_modules")
    logging.disable(logging.CRITICAL)
    secret = Secret(broken.SECRET)
    step = partial(call_plugin, "my_ca", "advance", returns=partial(sound_step, secrets=(secret,)))
    hints = partial(call_for_hints, "my_ca", "hints")
    any_rows = [(what, does, step) for what, (does, _) in broken.ANYWHERE.items()]
    step_rows = [(what, does, step) for what, (does, _) in broken.STEPS.items()]
    hint_rows = [(what, does, hints) for what, (does, _) in broken.HINTS.items()]
    try:
        imports = _imported(plugins)
        load = [_refused(what, plugin) for what, (plugin, *_) in refused.items()]
        contained = [[_contained(*row) for row in rows] for rows in (any_rows, step_rows, hint_rows)]
    finally:
        logging.disable(logging.NOTSET)
    head = ["| what it does | what certcore says |", "| --- | --- |"]
    return "\n".join(
        [
            "# Broken plugins",
            "",
            "This page says what certcore does with faulty plugins. The tables are made from the tests: each row is a",
            "plugin that is loaded, or called, as in operation. In every case the other plugins continue to work.",
            "",
            "## Refused when it is loaded",
            "",
            "The failure is in `core.plugin_failures`, in the log and in the output of `certcore` commands.",
            "",
            "| what is wrong | what certcore says | what to do |",
            "| --- | --- | --- |",
            *load,
            "",
            "## Refused when it is imported",
            "",
            "The message also has the file and the line; here they are left out.",
            "",
            "| what the entry point names | what certcore says | what to do |",
            "| --- | --- | --- |",
            *imports,
            "",
            "## Contained when it is called",
            "",
            "The failure is a `PluginError` that begins with *The plugin … failed in …*. It is shown on the",
            "certificate's page, or raised to the caller. The log has file and line.",
            "",
            "### Any method or hook",
            "",
            *head,
            *contained[0],
            "",
            "### A step",
            "",
            *head,
            *contained[1],
            "",
            "### Hints",
            "",
            *head,
            *contained[2],
            "",
        ]
    )


def _imported(plugins: ModuleType) -> list[str]:
    """The rows of entry points that name something wrong."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in plugins.IMPORTED.items():
            (Path(folder) / f"{name}.py").write_text(text, encoding="utf-8")
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            for name, (entry, what, *_) in plugins.IMPORTS.items():
                loader = Loader()
                loader.add_installed(InstalledPlugin(EntryPoint(name, entry, "certcore"), "broken"))
                (failure,) = loader.failures()
                rows.append(f"| {what} | {_cell(failure.reason)} | {_cell(failure.advice)} |")
        finally:
            sys.path.remove(folder)
            for name in plugins.IMPORTED:
                sys.modules.pop(name, None)
    return rows


def _refused(what: str, plugin: object) -> str:
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False) as core:
        (failure,) = core.plugin_failures
    return f"| {what} | {_cell(failure.reason)} | {_cell(failure.advice)} |"


def _contained(what: str, does: Callable[..., object], call: Callable[..., object]) -> str:
    """The row of what a plugin does in a thread of its own, as in a worker."""
    caught: list[errors.CertCoreError] = []
    work = SimpleNamespace(issuance=SimpleNamespace(module_state={"mine": [1]}))

    def run() -> None:
        try:
            call(does, work)
        except errors.CertCoreError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return f"| {what} | {_cell(str(caught[0]))} |"


def _cell(text: str) -> str:
    """A text for a cell of a table: without places of this machine, and without what all of them say."""
    shown = re.sub(r" \(at [^)]*\)| at 0x[0-9a-f]+| at /\S+(?=:)", "", " ".join(text.split())).replace("|", "\\|")
    return re.sub(r"^The plugin 'my_ca' failed in \w+: | Report this to the author of the plugin\.$", "", shown)
