"""The use cases: one family per file, each a frozen class that is given its ports."""
