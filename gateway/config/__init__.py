"""Start-up settings: TOML file, environment and flags become one frozen `Settings`."""
