"""Certificates and hints as text for a terminal."""
