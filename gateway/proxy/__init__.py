"""One request's life between two sockets."""
