"""Everything that touches the world: clock, keyrings, plugins, databases."""
