"""The use cases: each file has a frozen class with related calls."""
