"""The table of CA modules that break a rule, by the check that has to find each."""

from types import MappingProxyType

from support.conformant_ca import Registering

ANY_ORDER = {}
#: For some: what the setup of the run has besides, or how the plugin is made.
SETUPS = {}
PLUGINS = {}


def breaks(check, plugin=Registering, **setup):
    """Put a module into the table."""

    def add(module):
        ANY_ORDER[check] = module
        PLUGINS[check] = plugin
        SETUPS[check] = MappingProxyType(setup)
        return module

    return add
