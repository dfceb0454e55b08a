"""Suites that every implementation of a port passes; inherit one and give it the fixtures that it asks for."""
