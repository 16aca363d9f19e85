"""Supervisor, control and worker processes: the only place that builds objects and owns tasks."""
