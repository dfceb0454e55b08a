"""The implementations of the ports that use the outside world: clock, keyrings, plugins, databases, files."""
