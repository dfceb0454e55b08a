"""A CA whose certificates people fetch by hand: download the CSR, take it to the CA, upload the chain."""
