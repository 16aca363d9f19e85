"""The ledger on disk, so that no count is lost or counted twice when control is killed.

Beside the channel lies one file for each worker with the last totals that it sent, and one with the
sum of the workers that are gone. A file is replaced whole. The sum names the workers that are in
it, so a worker's file that outlives its worker is never added a second time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

import msgspec

from gateway.process.channel import Totals
from gateway.process.totals import Gone, Ledger

_log = logging.getLogger(__name__)

_GONE = "totals-gone"
_OF_A_WORKER = re.compile(r"totals-([0-9]+)-([0-9]+)")

_encoder = msgspec.msgpack.Encoder()
_totals = msgspec.msgpack.Decoder(Totals)
_gone = msgspec.msgpack.Decoder(Gone)


class Books:
    """Writes down what a ledger holds, in a folder that nobody else uses for this."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_failed = False

    def __repr__(self) -> str:
        return f"<Books in {self._folder}>"

    def read(self) -> Ledger:
        """The ledger as the control process before this one left it; empty if there was none."""
        gone = Gone()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            gone = _gone.decode((self._folder / _GONE).read_bytes())
        known: dict[tuple[int, int], Totals] = {}
        for path in self._folder.glob("totals-*-*"):
            if named := _OF_A_WORKER.fullmatch(path.name):
                with contextlib.suppress(OSError, msgspec.DecodeError):
                    known[int(named[1]), int(named[2])] = _totals.decode(path.read_bytes())
        return Ledger(gone, known)

    def keep(self, worker: int, born: int, totals: Totals) -> None:
        """Writes down what a worker has just said."""
        self._replace(f"totals-{worker}-{born}", _encoder.encode(totals))

    def settle(self, ledger: Ledger) -> None:
        """To be called when workers were folded into the sum: writes it, and clears up."""
        if self._replace(_GONE, _encoder.encode(ledger.gone)):
            for path in self._folder.glob("totals-*-*"):
                named = _OF_A_WORKER.fullmatch(path.name)
                if named and ledger.has_folded(int(named[1]), int(named[2])):
                    with contextlib.suppress(OSError):
                        path.unlink()

    def _replace(self, name: str, content: bytes) -> bool:
        """False when it cannot be written: counts go on, but would not survive control's end."""
        path = self._folder / name
        # No fsync: it has to survive our process, not the machine, which ends the counts anyway.
        beside = self._folder / f".{name}"
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            beside.replace(path)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                _log.warning("Counts cannot be written to %s: %s.", self._folder, error.strerror)
            return False
        self._has_failed = False
        return True
