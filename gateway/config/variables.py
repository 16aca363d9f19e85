"""Names of environment variables that are no settings; here alone, so that commands start fast."""

from __future__ import annotations

CONFIG_VARIABLE = "GRAYGATE_CONFIG"
DEBUG_VARIABLE = "GRAYGATE_DEBUG"
GATEWAY_VARIABLE = "GRAYGATE_GATEWAY"
GATEWAY_CA_VARIABLE = "GRAYGATE_GATEWAY_CA"
