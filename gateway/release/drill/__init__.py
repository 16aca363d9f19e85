"""PURE: what a drill of the way back is asked for, what it measured, when the next one is due."""
