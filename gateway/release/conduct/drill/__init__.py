"""Rehearsing the way back: a stand-in is broken on purpose, on a route that no user reaches."""
