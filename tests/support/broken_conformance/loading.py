"""Modules that do not load as they should."""

import certcore
from support.broken_conformance.table import breaks
from support.conformant_ca import ConformantCA, Registering


class Unmarked(Registering):
    """Forgets a mark."""

    def certcore_hints(self, view):
        return []


class WithStranger(Registering):
    """Registers something that is no module, beside its module."""

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.module, object()]


@breaks("hooks", plugin=Unmarked)
class Hooks(ConformantCA):
    pass


@breaks("module-name")
class Name(ConformantCA):
    name = "Conformant-CA"


@breaks("module-title")
class Title(ConformantCA):
    title = " "


@breaks("settings-classes")
class SettingsClasses(ConformantCA):
    profile_type = dict


@breaks("method-signatures")
class Signatures(ConformantCA):
    def revoke(self, issuance):
        pass


@breaks("plain-methods")
class Coroutine(ConformantCA):
    async def advance(self, work):
        return None


@breaks("whole-powers")
class HalfAPower(ConformantCA):
    preflight = None


@breaks("method-names")
class Misspelt(ConformantCA):
    def dnsserver(self, **given):
        pass


@breaks("loads", plugin=WithStranger)
class Stranger(ConformantCA):
    pass


@breaks("own-names")
class NameClash(ConformantCA):
    name = "puq_acme"
