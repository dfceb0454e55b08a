"""PUQ ACME: certificates from any ACME CA, validated with dns-01 through one CNAME into the tech zone."""
