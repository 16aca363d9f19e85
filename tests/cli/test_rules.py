"""`graygate rules` against a running gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.live import Live
from tests.servers import Server

GOLD = '{"when":{"header":{"x-plan":"gold"}},"version":"v2"}'
STAFF = '{"when":{"segment":"staff"},"version":"v3"}'


def test_rules_come_and_go_in_their_order(up: Live, store: Server, tmp_path: Path) -> None:
    assert up.out("rules", "add", "chat", GOLD, "--why", "first") == "chat: 1 rule; revision 2.\n"
    assert up.out("rules", "add", "chat", STAFF, "--at", "0") == "chat: 2 rules; revision 3.\n"
    assert up.out("rules", "list", "chat") == f"0  {STAFF}\n1  {GOLD}\n"
    assert json.loads(up.out("rules", "list", "chat", "--json"))["rules"][1]["version"] == "v2"
    assert up.out("rules", "remove", "chat", "0") == "chat: 1 rule; revision 4.\n"
    assert store.cli("LRANGE gray:route:chat:rules 0 -1") == [GOLD]
    file = tmp_path / "rules.json"
    file.write_text(f"[{STAFF}, {GOLD}]")
    assert up.out("rules", "set", "chat", str(file)) == "chat: 2 rules; revision 5.\n"
    # Typed otherwise, the same.
    again = up.run("rules", "set", "chat", "-", stdin=f"[{STAFF.replace(',', ' , ')}, {GOLD}]")
    assert again.stdout == "chat: 2 rules as before; revision 5.\n"
    up.out("rollback", "chat", "--to", "1", "--yes")
    assert store.cli("EXISTS gray:route:chat:rules") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["add", "chat", "nonsense"], 2, "the rule is no JSON object, as in "),
        (["add", "chat", "[]"], 2, "the rule is no JSON object, as in "),
        (["add", "chat", '{"when": {"heder": {}}, "version": "v2"}'], 1, "Refused, nothing was w"),
        (["add", "ghost", GOLD], 1, "There is no route ghost in the store."),
        (["remove", "chat", "0"], 1, "chat has 0 rules, none at 0."),
        (["remove", "chat", "-1"], 2, "No such option '-1'"),
        (["set", "chat", "nowhere"], 2, "nowhere cannot be read: No such file or directory."),
        (["set", "chat", "-"], 2, "standard input holds no JSON list of rules: "),
        (["list"], 2, "Missing argument 'ROUTE'."),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("rules", *arguments, stdin="{}")
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert done.stderr.startswith(f"graygate: {told}")
