"""A CA with approval behind an HTTP API of its own: the module for certcore, and a small server to try it with."""
