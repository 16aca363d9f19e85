from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.cli.live import Live
from tests.servers import free_port


def completed(up: Live, line: str, shell: str = "bash") -> list[str]:
    """What a shell offers at the end of this line."""
    words = line.split(" ")
    done = up.run(
        _GRAYGATE_COMPLETE=f"{shell}_complete",
        COMP_WORDS=line.rstrip() if words[-1] == "" else line,
        COMP_CWORD=words[-1] if shell == "fish" else str(len(words) - 1),
    )
    assert done.stderr == ""
    if shell == "zsh":
        return [name for name in done.stdout.split("\n")[1::3] if name]
    return [one.partition(",")[2] for one in done.stdout.split()]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("graygate get ", ["chat"]),
        ("graygate get c", ["chat"]),
        ("graygate get x", []),
        ("graygate whitelist add ", ["chat"]),
        ("graygate whitelist add chat ", ["v1", "v2", "v3"]),
        ("graygate whitelist import chat v", ["v1", "v2", "v3"]),
        ("graygate weights set chat ", ["v2=", "v3="]),
        ("graygate whitelist add ghost ", []),
        ("graygate top ", ["chat"]),
    ],
)
def test_names_are_those_of_the_gateway(up: Live, shell: str, line: str, names: list[str]) -> None:
    offered = completed(up, line, shell)
    assert offered == names


def test_commands_are_completed_as_ever(up: Live) -> None:
    assert completed(up, "graygate whitelist imp") == ["import"]
    assert completed(up, "graygate doct") == ["doctor"]


def test_without_a_gateway_there_is_nothing_and_no_complaint(run: Run) -> None:
    done = run(
        env={
            "_GRAYGATE_COMPLETE": "bash_complete",
            "COMP_WORDS": "graygate get",
            "COMP_CWORD": "2",
            "GRAYGATE_GATEWAY": f"http://127.0.0.1:{free_port()}",
        }
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
