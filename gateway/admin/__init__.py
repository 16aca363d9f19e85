"""The operator's HTTP surface."""
