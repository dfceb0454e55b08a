"""What certcore needs from the world, as protocols whose docstrings say MUST and SHOULD."""
