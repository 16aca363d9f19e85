"""The release's state machine, pure: status, evidence, commands and time in, actions out."""
