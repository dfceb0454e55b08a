"""Keyrings that ship with certcore, and the vault that seals secrets with their keys."""
