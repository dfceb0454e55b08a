"""A CA's rate limits, shared by all workers of all processes."""
