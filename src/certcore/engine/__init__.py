"""Reconciling: one function that looks at one certificate and takes at most one step; and a worker that calls it."""
