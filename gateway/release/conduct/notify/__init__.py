"""Telling people and machines what happened to a release; never holds the release up."""
