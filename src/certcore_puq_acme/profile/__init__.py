"""The settings of a CA profile."""
