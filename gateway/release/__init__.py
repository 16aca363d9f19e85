"""A release: one controlled move of a route from stable to a candidate, along a plan of stages."""
