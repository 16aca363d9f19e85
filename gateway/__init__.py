"""Graygate: a gray-release gateway for AI models."""

__version__ = "0.1.0.dev0"
