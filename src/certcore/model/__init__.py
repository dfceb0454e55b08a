"""The frozen values of certcore, and pure functions of them: no I/O, no clock, no randomness."""
