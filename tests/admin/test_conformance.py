"""The API against its own document, by whatever schemathesis can think of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.admin.running import plant, redis_settings
from tests.cli.live import live
from tests.servers import Server

FOLDER = Path(__file__).parent
TOKEN = "t0ken"


@pytest.mark.timeout(3600 if "GRAYGATE_FUZZ_SECONDS" in os.environ else 200)
def test_A18_the_api_does_what_its_document_says_whatever_it_is_sent(
    store: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = int(os.environ.get("GRAYGATE_FUZZ_SECONDS", "0"))
    examples = 200 if seconds else 5
    words = [str(Path(sys.executable).with_name("schemathesis"))]
    words += ["--config-file", str(FOLDER / "schemathesis.toml"), "run"]
    plant(store)
    with live(redis_settings(store), token=TOKEN) as up:
        up.wait_revision(1)
        up.side.workers.append(up.side.worker())
        words += [f"{up.url}/api/v1/openapi.json", "-H", f"Authorization: Bearer {TOKEN}"]
        words += ["--checks=all", f"--max-examples={examples}", "--no-color"]
        words += [f"--max-time={seconds}"] if seconds else ["--generation-deterministic"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert not [one for one in caplog.records if one.exc_info], "no call may fail inside"
