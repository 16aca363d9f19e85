"""The store: reading and watching the live routing state, writing it, remembering it."""
