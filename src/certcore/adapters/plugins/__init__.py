"""Finding, loading, checking and calling plugins."""
