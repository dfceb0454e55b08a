"""Thin adapters to what users run already: tokens that keep keys, engines that run tasks."""
