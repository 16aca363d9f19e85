"""Plans as data: what a release may do, when, and what stops it. Pure."""
