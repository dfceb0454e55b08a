"""The version: the package is built with it, and every request to a server names it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
