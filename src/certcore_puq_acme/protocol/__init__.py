"""An ACME client (RFC 8555): signed requests, resources, errors. It knows nothing of certificates in certcore."""
