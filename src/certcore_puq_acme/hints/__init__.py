"""The right columns of certificates and CA profiles."""
