"""The tech zone: its records in the store, and an authoritative DNS server that serves them."""
