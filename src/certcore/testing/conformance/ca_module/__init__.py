"""The conformance suite of CA modules: what the docstrings of `certcore.plugin.CAModule` demand, rule by rule."""
