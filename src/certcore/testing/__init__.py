"""The kit for panels, scripts and plugin authors: contract suites, a Pebble, zones and documents in memory."""
