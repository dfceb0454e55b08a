"""The views of the section."""
