"""What the DNS shows of the records that domain owners set, and of the TXT values."""
