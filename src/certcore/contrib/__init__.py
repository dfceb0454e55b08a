"""Thin adapters to engines that users run already; nothing in here yet."""
