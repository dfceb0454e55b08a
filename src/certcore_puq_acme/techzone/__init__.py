"""PUQ ACME."""
