"""Write the OpenAPI document of the admin API into the file beside this one: `make openapi`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.admin.app import CALLS
from gateway.admin.openapi import document

FILE = Path(__file__).with_name("openapi.json")


def wanted() -> bytes:
    """What should be in the file."""
    table = {(method, path): access for method, path, _, access in CALLS}
    return msgspec.json.format(msgspec.json.encode(document(table)), indent=1) + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(wanted())
