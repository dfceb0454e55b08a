"""Shared parts of the suites of hooks: the loaded plugin, with its calls recorded."""

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
    """A plugin whose calls are recorded. Use it as a context manager.

    Args:
        plugin: A module or an object with hooks.
        watch: Notes the side effects of its calls.
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
        """Require that the plugin has a hook that can be called.

        Raises:
            RuleBrokenError: It does not. The text says why.
        """
        for failure in self.loaded.failures:
            raise RuleBrokenError(f"{failure.plugin}: {failure.reason} {failure.advice}".strip())
        has_hook = any(hook in plugin.hooks for plugin in self.loaded.plugins)
        require(has_hook, f"The plugin does not have the hook {hook}.")

    def call(self, hook: str, offered: Mapping[str, object]) -> Call:
        """Call a hook with the arguments that it declares. The returned call has the result or the exception."""
        function = self.loaded.plugins[0].hooks[hook]
        return self.run(hook, function.function, function.arguments(offered))

    def run(self, name: str, function: Callable[..., Any], named: Mapping[str, object], *arguments: Any) -> Call:
        """Call a function of the plugin. The returned call has the result or the exception."""
        return self.recorder.noted(name, function, arguments, named)

    def result(self, call: Call, declared: Any) -> Any:
        """The result of a call, checked and copied.

        Raises:
            RuleBrokenError: The call raised an exception or returned a value of another type, see `conform`.
        """
        if call.raised is not None:
            raise RuleBrokenError(call.failure)
        try:
            return conform(call.returned, declared)
        except UnexpectedResultError as error:
            raise RuleBrokenError(f"{call.method} returned {error}.") from None

    def require_quiet(self) -> None:
        """Require that the calls so far have printed nothing.

        Raises:
            RuleBrokenError: They have printed something.
        """
        for call in self.recorder.calls:
            require(not call.printed, f"{call.method} printed {call.printed[:80]!r}. Use logging.")
