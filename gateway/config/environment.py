"""Settings in the environment: GRAYGATE_SECTION__KEY, and the few variables that are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from gateway.config.catalog import ENV_PREFIX, catalog
from gateway.config.layer import Layer, plain
from gateway.config.suggest import variable_meant
from gateway.config.variables import (
    CONFIG_VARIABLE,
    DEBUG_VARIABLE,
    GATEWAY_CA_VARIABLE,
    GATEWAY_VARIABLE,
)

# Short names that deployment tools and people expect.
ALIASES: Mapping[str, str] = MappingProxyType({"GRAYGATE_REDIS_URL": "redis.url"})

# Ours, but no settings. A new one has to be entered here, else the start refuses it as unknown.
OTHER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        CONFIG_VARIABLE: "the settings file, when it is not `config/gateway.toml`",
        GATEWAY_VARIABLE: "the admin port that commands speak to, as in `http://127.0.0.1:8081`",
        GATEWAY_CA_VARIABLE: "CA file that the certificate of that port must chain to",
        DEBUG_VARIABLE: "1 = commands show the traceback of an unexpected error",
    }
)

# Kubernetes gives every container the address of every service of its namespace: beside a service
# named `graygate-admin` stands GRAYGATE_ADMIN_PORT=tcp://10.0.0.7:8081. These are not meant for us.
_SERVICE_LINK = re.compile(
    r"GRAYGATE(_[A-Z0-9_]+)?_"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(r"GRAYGATE(_[A-Z0-9_]+)?_PORT")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Judges every GRAYGATE_ variable; what is wrong is in the layer's problems."""
    layer = Layer()
    known = {
        variable: (setting, key)
        for setting in catalog().values()
        for variable, key in zip(setting.variables, setting.keys, strict=True)
    }
    known |= {alias: (catalog()[key], key) for alias, key in ALIASES.items()}
    for variable in sorted(name for name in environ if name.startswith(ENV_PREFIX)):
        value = environ[variable]
        if variable in known:
            setting, key = known[variable]
            layer.take(setting, key, value, where=variable, origin=f"env {variable}", is_text=True)
        elif variable not in OTHER_VARIABLES and not _is_service_link(variable, value):
            meant = variable_meant(variable)
            layer.refuse(plain(variable), f"is not a variable Graygate knows{meant}")
    return layer


def _is_service_link(variable: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(variable):
        return True
    # GRAYGATE_ADMIN_PORT=9000 is a person who forgot an underscore.
    return bool(_SERVICE_PORT.fullmatch(variable) and _SERVICE_ADDRESS.fullmatch(value))
