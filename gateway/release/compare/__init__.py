"""Do two versions say the same? Comparators of two answers to one request."""
