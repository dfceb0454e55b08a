"""The way from a request to a leaf: one order, step by step (RFC 8555 section 7.4)."""
