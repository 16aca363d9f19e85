"""The judge in virtual time: thousands of releases, and how often it was right."""
