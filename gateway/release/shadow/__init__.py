"""What copies of requests tell of a candidate: counted, classed, and a few kept to be looked at."""
