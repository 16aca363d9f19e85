"""An embedded store, model-like backends and a little traffic, to try the gateway alone."""
