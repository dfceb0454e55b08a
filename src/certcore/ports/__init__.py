"""The interfaces between certcore and its environment: protocols with MUST and SHOULD (RFC 2119) in docstrings."""
