"""Writers of the tech zone that come with certcore: see `certcore.ports.zone_writers`."""
