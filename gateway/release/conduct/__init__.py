"""Conducting releases: the tick, measuring, notifying, and what operators ask of it."""
