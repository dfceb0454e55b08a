"""Certificates as a library."""
