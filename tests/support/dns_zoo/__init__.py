"""Real DNS servers in a network namespace of their own, with set-ups as domain owners break them."""
