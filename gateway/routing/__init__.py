"""The decision, pure: request facts and table in, version and reason out."""
