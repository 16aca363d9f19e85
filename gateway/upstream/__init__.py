"""Endpoints: connections and their pools, balancing, health, and the bounds of retries."""
