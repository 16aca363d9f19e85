"""What a newcomer does first: start the run command, send requests, move the split, stop it.

Usage: newcomer.py COMMAND...   Standard library only, as it runs before anything is installed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

DATA = "http://127.0.0.1:8080"
ADMIN = "http://127.0.0.1:8081"
COLD_SECONDS = 300.0  # packages are downloaded first


def ask(user: str, stream: bool = False) -> tuple[str, bytes]:
    """The version that answered one user's chat request, and the body."""
    question = {
        "model": "demo",
        "stream": stream,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    request = urllib.request.Request(
        f"{DATA}/v1/chat/completions",
        json.dumps(question).encode(),
        {"content-type": "application/json", "x-user-id": user},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["X-Graygate-Version"], answer.read()


def wait_for_answer(process: subprocess.Popen[bytes]) -> float:
    started = time.monotonic()
    while time.monotonic() < started + COLD_SECONDS:
        if process.poll() is not None:
            sys.exit(f"the run command ended with {process.returncode} before it answered")
        try:
            ask("somebody")
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return time.monotonic() - started
    sys.exit(f"no answer on {DATA} within {COLD_SECONDS:g} s")


def main() -> None:
    mark = os.getpid()
    environment = {**os.environ, "NEWCOMER_OF": str(mark)}
    process = subprocess.Popen(sys.argv[1:], env=environment, start_new_session=True)
    try:
        seconds = wait_for_answer(process)
        print(f"the first answer came after {seconds:.1f} s", flush=True)
        try_it()
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        code = process.wait(60)
    left = left_over(mark)
    if left:
        sys.exit(f"the run command left processes: {left}")
    print(f"stopped by Ctrl-C with exit code {code}, no process left", flush=True)


def try_it() -> None:
    before = Counter(ask(f"user-{n}")[0] for n in range(200))
    print(f"at 10 %: {dict(before)}", flush=True)
    assert set(before) == {"v1", "v2"}, "both versions must answer"
    assert all(ask("user-7")[0] == ask("user-7")[0] for _ in range(5)), "users must stay"
    _, body = ask("user-7", stream=True)
    assert body.rstrip().endswith(b"data: [DONE]"), "the stream must end"
    run = [".venv/bin/graygate", "redis", "HSET", "gray:route:chat:weights", "v2", "100"]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    after = Counter(ask(f"user-{n}")[0] for n in range(50))
    print(f"at 100 %: {dict(after)}", flush=True)
    assert set(after) == {"v2"}, "everybody must be on v2"
    subprocess.run([*run[:-1], "10"], check=True, stdout=subprocess.DEVNULL)
    with urllib.request.urlopen(f"{ADMIN}/readyz", timeout=10) as answer:
        assert answer.status == 200


def left_over(mark: int) -> list[str]:
    """Whatever the run command started and did not end."""
    wanted = f"NEWCOMER_OF={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(f"{folder.name}: {command}")
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main()
