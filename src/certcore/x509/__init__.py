"""Keys, requests and certificates (RFC 5280): pure functions over the package ``cryptography``."""
