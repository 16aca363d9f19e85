"""Names of all series, and their exposition."""
