"""HTTP/1.1 as bytes: what comes is checked, what goes on is in one form only; no sockets here."""
