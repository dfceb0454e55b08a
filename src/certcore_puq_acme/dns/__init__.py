"""Look up the records of domain owners and the TXT values in the DNS, and judge them."""
