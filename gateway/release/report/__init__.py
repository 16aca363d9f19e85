"""What people read after a release: what was planned, what happened, and by which numbers."""
