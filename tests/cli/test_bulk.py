from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.live import Live
from tests.servers import Server

KEY = "gray:route:chat:whitelist:v2"


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.bulk.IDS_PER_REVISION", 10)


def written(folder: Path, first: int, beyond: int) -> Path:
    file = folder / "ids"
    file.write_text("".join(f"user-{number:03}\n" for number in range(first, beyond)))
    return file


@pytest.mark.parametrize("path", [("whitelist", "chat", "v2"), ("blacklist", "chat")])
def test_a_file_goes_in_and_comes_out(up: Live, tmp_path: Path, path: tuple[str, ...]) -> None:
    group, *names = path
    name = " ".join([names[0], group, *names[1:]])
    file = written(tmp_path, 0, 25)
    told = up.out(group, "import", *names, str(file), "--why", "testers")
    assert told == f"{name}: 25 ids of the file on the list; revision 4.\n"
    assert up.out(group, "import", *names, str(file)) == (
        f"{name}: 25 ids of the file on the list as before; revision 4.\n"
    )
    assert sorted(up.out(group, "export", *names).splitlines()) == file.read_text().splitlines()
    back = tmp_path / "back"
    assert up.out(group, "export", *names, str(back)) == f"{name}: 25 ids in {back}.\n"
    assert sorted(back.read_text().splitlines()) == file.read_text().splitlines()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "ids"]
    told = json.loads(up.out(group, "export", *names, str(back), "--json"))
    assert told == {"file": str(back), "ids": 25}
    found = up.out(group, "search", *names, "user-02").split()
    assert found == [f"user-02{digit}" for digit in range(5)]
    newest = json.loads(up.out("history", "chat", "--json"))[0]
    assert newest["why"] == "testers (import, part 3)"


def test_a_list_is_replaced_by_what_a_file_holds(up: Live, store: Server, tmp_path: Path) -> None:
    up.out("whitelist", "import", "chat", "v2", str(written(tmp_path, 0, 25)))
    file = str(written(tmp_path, 20, 30))
    told = up.out("whitelist", "import", "chat", "v2", file, "--replace", "--yes")
    assert told == (
        "chat whitelist v2: 10 ids of the file on the list, 20 others taken off; revision 7.\n"
    )
    assert store.cli(f"SCARD {KEY}") == 10
    told = up.out("whitelist", "import", "chat", "v2", file, "--replace", "--yes", "--json")
    assert json.loads(told) == {
        "done": 10, "removed": 0, "revision": 7, "changed": False, "finished": True, "error": None,
    }  # fmt: skip


def test_standard_input_is_taken_and_judged_on_the_way(up: Live, store: Server) -> None:
    done = up.run("whitelist", "import", "chat", "v2", "-", stdin="alice\r\nbob")
    assert done.stdout == "chat whitelist v2: 2 ids of the file on the list; revision 2.\n"
    assert store.cli(f"SCARD {KEY}") == 2


def test_a_file_that_cannot_be_is_refused_before_anything_is_sent(
    up: Live, store: Server, tmp_path: Path
) -> None:
    file = tmp_path / "ids"
    for content, told in (
        (b"a\n" * 30 + b"\xff\n", f"{file} line 31 is not valid UTF-8 text."),
        (b"x" * 257, f"{file} line 1 has 257 bytes; an id has 1 to 256."),
        (b"\n\n", f"{file} holds no id; it takes one a line."),
    ):
        file.write_bytes(content)
        done = up.run("whitelist", "import", "chat", "v2", str(file))
        assert (done.exit_code, done.stderr) == (2, f"graygate: {told}\n"), told
    assert store.cli(f"EXISTS {KEY}") == 0


def test_a_failure_on_the_way_says_how_far_it_got(
    up: Live, store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = up.side.store.writer.change
    steps = []

    async def change(*arguments, **named):  # type: ignore[no-untyped-def]  # as the real one
        steps.append(1)
        if len(steps) == 3:
            store.cli("DEL gray:route:chat gray:route:chat:versions gray:route:chat:weights")
        return await real(*arguments, **named)

    monkeypatch.setattr(up.side.store.writer, "change", change)
    done = up.run("whitelist", "import", "chat", "v2", str(written(tmp_path, 0, 45)))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "gone from the store" in done.stderr
    assert "The first 20 ids are on the list, revision 3; send the whole file again" in done.stderr
    assert store.cli(f"SCARD {KEY}") == 20


def test_more_than_is_printed_is_told(up: Live, tmp_path: Path) -> None:
    up.out("whitelist", "import", "chat", "v2", str(written(tmp_path, 0, 25)))
    done = up.run("whitelist", "search", "chat", "v2", "er-0", "--contains", "--most", "3")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "There are more than 3; --most shows more.\n"
    told = json.loads(up.out("whitelist", "search", "chat", "v2", "nobody", "--json"))
    assert told == {"ids": [], "has_more": False}


def test_a_file_that_is_there_is_kept_when_the_new_one_fails(up: Live, tmp_path: Path) -> None:
    file = written(tmp_path, 0, 3)
    done = up.run("whitelist", "export", "chat", "v9", str(file))
    assert done.exit_code == 1
    assert len(file.read_text().splitlines()) == 3
    done = up.run("whitelist", "export", "chat", "v2", str(tmp_path / "no" / "file"))
    assert (done.exit_code, "cannot be written: No such" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["whitelist", "import", "chat", "v2"], 2, "Missing argument 'FILE|-'."),
        (["whitelist", "import", "chat", "v2", "nowhere"], 2, "nowhere cannot be read: No such"),
        (["whitelist", "import", "chat", "v2", "-", "--replace"], 2, "there is nobody to ask"),
        (["whitelist", "import", "chat", "v9", "-"], 1, "the whitelist of v9 of chat belongs"),
        (["blacklist", "import", "ghost", "-"], 1, "There is no route ghost in the store."),
        (["whitelist", "export", "chat", "v9"], 1, "'v9' is no version of this route;"),
        (["blacklist", "export", "ghost"], 1, "There is no route 'ghost' in force;"),
        (["whitelist", "search", "chat", "v2", ""], 2, "name a text to look for"),
        (["blacklist", "search", "ghost", "a"], 1, "There is no route 'ghost' in force;"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run(*arguments, stdin="alice\n")
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")
