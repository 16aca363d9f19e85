"""Settings given on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.catalog import catalog
from gateway.config.layer import Layer, plain
from gateway.config.suggest import setting_meant


@dataclass(frozen=True, slots=True)
class Flag:
    """A value and the flag it came by, when that is not `--set KEY`."""

    name: str
    value: object


def read_flags(flags: Mapping[str, object]) -> Layer:
    """Judges every flag, given by dotted key; what is wrong is in the layer's problems."""
    layer = Layer()
    known = {key: setting for setting in catalog().values() for key in setting.keys}
    for key, given in flags.items():
        flag = given if isinstance(given, Flag) else Flag(f"--set {plain(key)}", given)
        if key not in known:
            section, _, name = key.partition(".")
            layer.refuse(flag.name, f"is not a setting{setting_meant(section, name)}")
            continue
        layer.take(
            known[key], key, flag.value, where=flag.name, origin=f"flag {flag.name}", is_text=True
        )
    return layer
