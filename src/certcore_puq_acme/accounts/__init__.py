"""ACME accounts: opened, found, changed and closed (RFC 8555 section 7.3)."""
