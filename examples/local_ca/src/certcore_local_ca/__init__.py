"""A private CA for certcore: root, intermediates, leaves and CRLs, kept in certcore's own store."""
