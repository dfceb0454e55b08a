"""The conformance suite of zone writers."""
