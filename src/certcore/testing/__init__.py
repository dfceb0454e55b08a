"""Test tools for panels, scripts and plugins: a clock, a scripted CA, conformance suites, test servers, DNS zones.

::

    from datetime import timedelta

    from certcore import CertCore
    from certcore.testing import Act, FrozenEnvironment, ScriptedCA

    clock = FrozenEnvironment()
    ca = ScriptedCA([Act.WORK, Act.ISSUE], now=clock.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=clock) as core:
        profile = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        core.certificates.generate_csr(certificate.id)
        while core.certificates.get(certificate.id).status != "active":
            clock.advance(timedelta(minutes=1))
            core.reconcile(certificate.id)

`conformance.run` checks a plugin against named rules. `ModuleConformance` makes pytest tests of these rules; it needs
the extra ``testing``. The fixtures of `certcore.testing.pytest_plugin` are available in pytest as soon as certcore is
installed. `Pebble` and `PostgreSQL` need the programs of these names.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certcore.testing import conformance
    from certcore.testing.catalogues import CatalogueFiles
    from certcore.testing.clock import FrozenEnvironment
    from certcore.testing.conformance.zone_writers.setup import WrittenZone
    from certcore.testing.contracts.ca_module import CAModuleContract
    from certcore.testing.contracts.conformance import ModuleConformance
    from certcore.testing.contracts.storage import StorageContract
    from certcore.testing.contracts.zone_writers import CnameWriterContract, ZoneWriterContract
    from certcore.testing.databases import MariaDB, PostgreSQL
    from certcore.testing.dns_zone import MemoryZone
    from certcore.testing.local_ca import LittleAuthority, make_request
    from certcore.testing.module_harness import ModuleHarness
    from certcore.testing.module_store import MemoryDocuments
    from certcore.testing.panel import IssuingPanel
    from certcore.testing.pebble import ChallTestSrv, Pebble
    from certcore.testing.scripted_ca import Act, ScriptedCA, ScriptedProfile, ScriptedRenewalCA, ScriptedSettings

__all__ = [
    "Act",
    "CAModuleContract",
    "CatalogueFiles",
    "ChallTestSrv",
    "CnameWriterContract",
    "FrozenEnvironment",
    "IssuingPanel",
    "LittleAuthority",
    "MariaDB",
    "MemoryDocuments",
    "MemoryZone",
    "ModuleConformance",
    "ModuleHarness",
    "Pebble",
    "PostgreSQL",
    "ScriptedCA",
    "ScriptedProfile",
    "ScriptedRenewalCA",
    "ScriptedSettings",
    "StorageContract",
    "WrittenZone",
    "ZoneWriterContract",
    "conformance",
    "make_request",
]

if not TYPE_CHECKING:
    from certcore.lazy import lazy_names

    #: The same names and modules as in the imports above.
    __getattr__ = lazy_names(
        __name__,
        {
            "Act": "certcore.testing.scripted_ca",
            "CAModuleContract": "certcore.testing.contracts.ca_module",
            "CatalogueFiles": "certcore.testing.catalogues",
            "ChallTestSrv": "certcore.testing.pebble",
            "CnameWriterContract": "certcore.testing.contracts.zone_writers",
            "FrozenEnvironment": "certcore.testing.clock",
            "IssuingPanel": "certcore.testing.panel",
            "LittleAuthority": "certcore.testing.local_ca",
            "MariaDB": "certcore.testing.databases",
            "MemoryDocuments": "certcore.testing.module_store",
            "MemoryZone": "certcore.testing.dns_zone",
            "ModuleConformance": "certcore.testing.contracts.conformance",
            "ModuleHarness": "certcore.testing.module_harness",
            "Pebble": "certcore.testing.pebble",
            "PostgreSQL": "certcore.testing.databases",
            "ScriptedCA": "certcore.testing.scripted_ca",
            "ScriptedProfile": "certcore.testing.scripted_ca",
            "ScriptedRenewalCA": "certcore.testing.scripted_ca",
            "ScriptedSettings": "certcore.testing.scripted_ca",
            "StorageContract": "certcore.testing.contracts.storage",
            "WrittenZone": "certcore.testing.conformance.zone_writers.setup",
            "ZoneWriterContract": "certcore.testing.contracts.zone_writers",
            "conformance": "certcore.testing.conformance",
            "make_request": "certcore.testing.local_ca",
        },
    )
