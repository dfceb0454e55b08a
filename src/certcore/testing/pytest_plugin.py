"""The pytest plugin of certcore: fixtures for panels, scripts and plugins. pytest loads it if certcore is installed.

::

    def test_my_page(certcore_core, certcore_clock):
        profile = certcore_core.authorities.create("test", module="scripted")
        ...

The names of the fixtures begin with ``certcore_``. Nothing is imported before a fixture is used. If a fixture needs a
program that is not installed, the test is skipped with the name of the package to install.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from certcore.core import CertCore
    from certcore.testing.clock import FrozenEnvironment
    from certcore.testing.dns_zone import MemoryZone
    from certcore.testing.panel import IssuingPanel
    from certcore.testing.pebble import ChallTestSrv, Pebble
    from certcore.testing.scripted_ca import ScriptedCA

__all__ = [
    "certcore_ca",
    "certcore_clock",
    "certcore_core",
    "certcore_dns",
    "certcore_panel",
    "certcore_pebble",
    "certcore_plugins",
    "certcore_postgresql_url",
    "certcore_zone",
]

if "certcore.testing.contracts" not in sys.modules:  # otherwise it has registered itself
    # A failing assertion shows both sides, wherever the suite is inherited.
    pytest.register_assert_rewrite("certcore.testing.contracts")


@pytest.fixture
def certcore_clock() -> FrozenEnvironment:
    """A clock that stands still until the test moves it: `certcore.testing.FrozenEnvironment`."""
    from certcore.testing.clock import FrozenEnvironment  # noqa: PLC0415 - light until it is used

    return FrozenEnvironment()


@pytest.fixture
def certcore_ca(certcore_clock: FrozenEnvironment) -> ScriptedCA:
    """A CA that issues at once, or follows its ``script``: `certcore.testing.ScriptedCA`."""
    from certcore.testing.scripted_ca import Act, ScriptedCA  # noqa: PLC0415 - light until it is used

    return ScriptedCA([Act.ISSUE], now=certcore_clock.now())


@pytest.fixture
def certcore_plugins() -> Sequence[object]:
    """The plugins of `certcore_core` in addition to `certcore_ca`. Override this fixture; by default there are none."""
    return ()


@pytest.fixture
def certcore_core(
    certcore_clock: FrozenEnvironment, certcore_ca: ScriptedCA, certcore_plugins: Sequence[object]
) -> Iterator[CertCore]:
    """A core with an empty store in memory, the clock `certcore_clock` and the CA `certcore_ca`."""
    from certcore.core import CertCore  # noqa: PLC0415 - light until it is used

    plugins = [certcore_ca.plugin(), *certcore_plugins]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=certcore_clock) as core:
        yield core


@pytest.fixture
def certcore_zone() -> MemoryZone:
    """The DNS zone ``shop.test`` of a customer, in memory: `certcore.testing.MemoryZone`."""
    from certcore.testing.dns_zone import MemoryZone  # noqa: PLC0415 - light until it is used

    return MemoryZone("shop.test")


@pytest.fixture(scope="session")
def certcore_dns() -> Iterator[ChallTestSrv]:
    """A running pebble-challtestsrv, the DNS of `certcore_pebble`: `certcore.testing.ChallTestSrv`."""
    from certcore.testing.pebble import ChallTestSrv  # noqa: PLC0415 - light until it is used

    yield from _running(ChallTestSrv.start)


@pytest.fixture(scope="session")
def certcore_pebble(certcore_dns: ChallTestSrv) -> Iterator[Pebble]:
    """A running Pebble, an ACME server for tests that validates with `certcore_dns`: `certcore.testing.Pebble`."""
    from certcore.testing.pebble import Pebble  # noqa: PLC0415 - light until it is used

    yield from _running(lambda: Pebble.start(dns_server=certcore_dns.dns_address))


@pytest.fixture(scope="session")
def _certcore_postgresql() -> Iterator[Any]:
    from certcore.testing.databases import PostgreSQL  # noqa: PLC0415 - light until it is used

    yield from _running(PostgreSQL.start)


@pytest.fixture
def certcore_postgresql_url(_certcore_postgresql: Any) -> str:
    """The URL of an empty PostgreSQL database, on a server that is started once for all tests."""
    return str(_certcore_postgresql.new_database())


@pytest.fixture
def certcore_panel() -> Iterator[IssuingPanel]:
    """A complete panel with Pebble and DNS on loopback: `certcore.testing.IssuingPanel`."""
    from certcore.testing.panel import IssuingPanel  # noqa: PLC0415 - light until it is used

    yield from _running(IssuingPanel.start)


def _running(start: Any) -> Iterator[Any]:
    """Run a server while the fixture is in use. If its program is missing, the test is skipped."""
    from certcore.testing.server import ProgramMissingError  # noqa: PLC0415 - light until it is used

    try:
        server = start()
    except ProgramMissingError as error:
        pytest.skip(f"{error.message} {error.advice}")
    with server:
        yield server
