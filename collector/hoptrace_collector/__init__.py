"""hoptrace."""
