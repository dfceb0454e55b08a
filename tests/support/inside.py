"""The parts behind `CertCore`, for tests of the engine, the services and the stores themselves."""

from attrs import frozen

from certcore import CertCore
from certcore.engine.leases import LeaseKeeper
from certcore.engine.module_context import Contexts
from certcore.engine.outbox import Outbox
from certcore.engine.reconcile import Engine
from certcore.ports.environment import Environment
from certcore.ports.plugins import Plugins
from certcore.ports.sealing import Vault
from certcore.ports.storage import Storage
from certcore.services.access import Access

__all__ = ["Inside", "inside"]


@frozen(eq=False)
class Inside:
    """What `CertCore` wires; see `inside`."""

    engine: Engine
    outbox: Outbox
    access: Access

    @property
    def storage(self) -> Storage:
        return self.engine.storage

    @property
    def vault(self) -> Vault:
        return self.engine.vault

    @property
    def plugins(self) -> Plugins:
        return self.engine.plugins

    @property
    def environment(self) -> Environment:
        return self.engine.environment

    @property
    def contexts(self) -> Contexts:
        return self.engine.contexts

    @property
    def leases(self) -> LeaseKeeper:
        return self.engine.leases


def inside(core: CertCore) -> Inside:
    """The parts of an open core. What a panel can do through `CertCore` itself, a test should do so too."""
    return Inside(core._engine, core._outbox, core._access)  # noqa: SLF001 - the one place where tests look inside
