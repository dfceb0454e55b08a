"""`ModuleHarness`: makes the arguments of CA modules' methods, for tests that call a module directly."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from certcore.core import CertCore
from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError
from certcore.ports.ca_module import CAModule, Documents, ModuleContext, StepResult, Work
from certcore.ports.environment import Environment

__all__ = ["ModuleHarness"]


@frozen(eq=False)
class ModuleHarness:
    """Makes the arguments of a CA module's methods from the store, as the engine does.

    ::

        harness = ModuleHarness(core)
        step = harness.module("my_module").advance(harness.work(certificate.id))

    Results of the methods are not stored. Use `CertCore.reconcile` to take real steps.
    """

    core: CertCore

    @property
    def environment(self) -> Environment:
        """The environment that the core was opened with."""
        return self._contexts.environment

    @property
    def _contexts(self) -> Contexts:
        return self.core._engine.contexts  # noqa: SLF001 - the kit is part of certcore; a panel has no use for it

    def module(self, name: str) -> CAModule[Any, Any]:
        """The CA module of this name.

        Raises:
            UnknownModuleError: The module is not loaded.
        """
        return self._contexts.plugins.module(name)

    def profile(self, authority_id: str) -> Any:
        """The settings of a CA profile as the module's ``profile_type``, with its secrets opened.

        Raises:
            NotFoundError: There is no such CA profile.
            UnknownModuleError: The module is not loaded.
        """
        return self._contexts.profile(self.core.authorities.get(authority_id))

    def context(self, authority_id: str, *, owner: str = "") -> ModuleContext:
        """The context of calls about a CA profile, or about a certificate of an owner.

        Raises:
            NotFoundError: There is no such CA profile.
            UnknownModuleError: The module is not loaded.
        """
        return evolve(self._contexts.context(self.core.authorities.get(authority_id))[1], owner=owner)

    def work(self, certificate_id: str) -> Work:
        """The argument of `CAModule.advance` for the certificate's issuance under way.

        Raises:
            NotFoundError: There is no such certificate.
            InvalidInputError: The certificate has no CA profile, or no issuance is under way.
        """
        view = self.core.certificates.view(certificate_id)
        if view.authority is None or view.issuance is None:
            raise InvalidInputError("certificate_id", "no issuance is under way.", advice="Call generate_csr first.")
        return self._contexts.work(view.authority, view.certificate, view.issuance, active=view.active)[1]

    def advance(self, certificate_id: str) -> StepResult:
        """Call the module's `CAModule.advance` once, without storing the result.

        Raises:
            NotFoundError: There is no such certificate.
            InvalidInputError: As in `work`.
        """
        work = self.work(certificate_id)
        return self.module(self.core.authorities.get(work.authority_id).module).advance(work)

    def documents(self, module: str) -> Documents:
        """The documents of a CA module.

        Raises:
            UnknownModuleError: The module is not loaded.
        """
        return self._contexts.documents(self.module(module))
