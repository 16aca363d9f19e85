"""The judge, pure: what workers measured of both versions in, evidence for and against one out."""
