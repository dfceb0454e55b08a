"""Shared by the suites of hooks: the loaded plugin, and its hooks behind a recorder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Self

from certcore.adapters.plugins.loaded import LoadedPlugins, load_plugins
from certcore.model.plugin_results import UnexpectedResultError, conform
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.conformance.recording import Call, CallWatch, Recorder
from certcore.testing.conformance.values import RuleBrokenError, require

__all__ = ["HookEvidence"]


class HookEvidence:
    """A plugin, whose hooks are called under a recorder. Use it as a context manager.

    Args:
        plugin: A module or an object with hooks.
        watch: Notes what its calls do.
    """

    def __init__(self, plugin: object, watch: CallWatch | None = None) -> None:
        self.plugin = plugin
        self.environment = FrozenEnvironment()
        self.stack = ExitStack()
        self._watch = watch or CallWatch()
        self.recorder = Recorder(watch=self._watch, now=self.environment.now)

    def __enter__(self) -> Self:
        self.stack.enter_context(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @cached_property
    def loaded(self) -> LoadedPlugins:
        """The plugin as certcore loads it."""
        return load_plugins([self.plugin], installed=False)

    def require_loaded(self, hook: str) -> None:
        """Say why the plugin does not have a hook that can be called.

        Raises:
            RuleBrokenError: It does not.
        """
        for failure in self.loaded.failures:
            raise RuleBrokenError(f"{failure.plugin}: {failure.reason} {failure.advice}".strip())
        has_hook = any(hook in plugin.hooks for plugin in self.loaded.plugins)
        require(has_hook, f"The plugin does not have the hook {hook}.")

    def call(self, hook: str, offered: Mapping[str, object]) -> Call:
        """Call a hook with the arguments that it takes; whatever it raises is in the call that is returned."""
        function = self.loaded.plugins[0].hooks[hook]
        return self.run(hook, function.function, function.arguments(offered))

    def run(self, name: str, function: Callable[..., Any], named: Mapping[str, object], *arguments: Any) -> Call:
        """Call a function of the plugin; whatever it raises is in the call that is returned."""
        return self.recorder.noted(name, function, arguments, named)

    def result(self, call: Call, declared: Any) -> Any:
        """What a call returned, checked and copied.

        Raises:
            RuleBrokenError: It raised, or returned something else than declared, see `conform`.
        """
        if call.raised is not None:
            raise RuleBrokenError(call.failure)
        try:
            return conform(call.returned, declared)
        except UnexpectedResultError as error:
            raise RuleBrokenError(f"{call.method} returned {error}.") from None

    def require_quiet(self) -> None:
        """Say what the calls so far have printed.

        Raises:
            RuleBrokenError: They have printed something.
        """
        for call in self.recorder.calls:
            require(not call.printed, f"{call.method} printed {call.printed[:80]!r}. Use logging.")
