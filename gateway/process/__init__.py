"""Supervisor, control and workers: the only place that builds objects and owns tasks."""
