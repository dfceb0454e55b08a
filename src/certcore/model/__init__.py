"""The values that certcore works with: frozen, without I/O, clock or randomness."""
