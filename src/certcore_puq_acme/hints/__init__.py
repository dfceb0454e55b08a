"""What people read: the right columns of certificates and CA profiles."""
