"""`graygate redis` against a real store; redis-cli itself is the oracle of what is printed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.lazy import LazyCommand
from gateway.cli.program import Program
from gateway.process.runfile import RUN_FILE, Running, write_run_file
from tests.servers import Server, Valkey, free_port

REPOSITORY = str(Path(__file__).parents[2])
RUN_IT = (
    "from gateway.cli.lazy import LazyCommand\n"
    "from gateway.cli.program import Program\n"
    "Program(name='graygate', commands={'redis': LazyCommand('gateway.cli.redis:redis', '')})"
    ".main()\n"
)

Redis = Callable[..., Result]


def ask(*arguments: str, stdin: str | bytes | None = None, **env: str) -> Result:
    program = Program(
        name="graygate", commands={"redis": LazyCommand("gateway.cli.redis:redis", "")}
    )
    return CliRunner().invoke(program, ["redis", *arguments], input=stdin, env=env)


@pytest.fixture
def redis(store: Server) -> Redis:
    """The command at the shared store, printing as on a terminal."""

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return ask("--no-raw", "--url", store.url, *arguments, stdin=stdin)

    return run


class TestPrinting:
    def test_a_number_is_an_integer(self, redis: Redis) -> None:
        done = redis("HSET", "gray:route:chat:weights", "v2", "10")
        assert (done.exit_code, done.stdout) == (0, "(integer) 1\n")

    def test_a_missing_value_is_nil(self, redis: Redis) -> None:
        assert redis("GET", "none").stdout == "(nil)\n"

    def test_an_array_is_numbered_and_an_empty_one_says_so(self, redis: Redis) -> None:
        redis("RPUSH", "l", *(str(number) for number in range(10)))
        lines = redis("LRANGE", "l", "0", "-1").stdout.splitlines()
        assert (lines[0], lines[9]) == (' 1) "0"', '10) "9"')
        assert redis("LRANGE", "none", "0", "-1").stdout == "(empty array)\n"

    def test_a_status_is_bare_and_a_string_is_quoted(self, redis: Redis) -> None:
        assert redis("SET", "k", "OK").stdout == "OK\n"
        assert redis("GET", "k").stdout == '"OK"\n'
        assert redis("TYPE", "k").stdout == "string\n"

    def test_an_error_is_told_and_ends_with_1(self, redis: Redis) -> None:
        done = redis("HSET", "k")
        assert done.exit_code == 1
        assert done.stdout == "(error) ERR wrong number of arguments for 'hset' command\n"

    def test_a_map_is_an_array_as_redis_cli_has_it(self, redis: Redis) -> None:
        redis("HSET", "h", "a", "1")
        assert redis("HGETALL", "h").stdout == '1) "a"\n2) "1"\n'

    def test_off_the_terminal_values_come_alone_and_errors_apart(self, store: Server) -> None:
        assert ask("--url", store.url, "SADD", "s", "alice").stdout == "1\n"
        assert ask("--url", store.url, "SMEMBERS", "s").stdout == "alice\n"
        wrong = ask("--url", store.url, "GET", "s")
        assert (wrong.exit_code, wrong.stdout) == (1, "")
        assert wrong.stderr.startswith("(error) WRONGTYPE ")


SPOKEN = (
    *("PING", "PING hi", "ECHO OK", "SET a OK", "GET a", "GET none", "TYPE a", "HSET h f1 v1"),
    *("HGETALL h", "HGETALL nohash", "INCR n", "ZADD z 1.5 m", "ZRANGE z 0 -1 WITHSCORES"),
    *("ZSCORE z m", "XADD x 1-1 f v", "XADD x 1-2 f v g w", "XRANGE x - +"),
    *("XREAD STREAMS x none 0 0", "XINFO GROUPS x", "CONFIG GET maxmemory", "OBJECT ENCODING n"),
    *("SELECT 1", "RESET", "GETSET a b", "ACL WHOAMI", "LATENCY DOCTOR", "DUMP none"),
    *('SET q "\\x00\\xffa\\n\\"b\\\\c\'é"', "GET q", "SET ' a b ' 'it\\'s'", "MGET ' a b ' none q"),
    *("MULTI", "SET a 1", "GET q", "HGETALL h", "GET none", "EXEC", "SUBSTR a 0 0", "  ", ""),
    *("EVAL 'return {1,{2,{},\"x\",{3,{4}}},false}' 0", "SCRIPT EXISTS x", "FLUSHALL"),
)
REFUSED = (
    *("SET a x", "INCR a", "LPUSH a x", "COMMAND NOSUCH", "EXEC", "HSET h"),
    *("MULTI", "SET a x", "LPUSH a 1", "EXEC", "EVAL 'return redis.error_reply(\"ERR no\")' 0"),
)


@pytest.mark.debian
@pytest.mark.parametrize(
    ("form", "lines"), [("--no-raw", SPOKEN), ("--no-raw", REFUSED), ("--raw", SPOKEN)]
)
def test_a_script_of_commands_is_answered_as_by_redis_cli(
    store: Server, form: str, lines: tuple[str, ...]
) -> None:
    redis_cli = shutil.which("redis-cli")
    if redis_cli is None:
        pytest.skip("redis-cli is not on PATH")
    script = "\n".join(lines).encode() + b"\n"
    command = [redis_cli, "-p", str(store.port), form]
    theirs = subprocess.run(command, input=script, capture_output=True, timeout=30, check=True)
    store.flush()
    assert ask(form, "--url", store.url, stdin=script).stdout_bytes == theirs.stdout


class TestReadingCommands:
    def test_lines_of_standard_input_are_commands(self, redis: Redis) -> None:
        done = redis(stdin='SET greeting "hello\\x21 you"\n\nGET greeting')
        assert (done.exit_code, done.stdout) == (0, 'OK\n"hello! you"\n')

    def test_a_bad_line_does_not_hide_the_next_but_the_end_is_a_failure(self, redis: Redis) -> None:
        done = redis(stdin='NOSUCH\nSET k "open\nSET k v\n')
        assert done.exit_code == 1
        assert done.stdout.splitlines()[-1] == "OK"

    def test_quit_ends_the_conversation(self, redis: Redis, store: Server) -> None:
        assert redis(stdin="SET k 1\nquit\nSET k 2\n").exit_code == 0
        assert store.cli("GET k") == "1"

    def test_bytes_that_are_no_text_pass_unchanged(self, redis: Redis, store: Server) -> None:
        redis(stdin=b"SET k \xff\xfe\n")
        assert store.cli("STRLEN k") == 2

    def test_options_after_the_command_belong_to_the_command(self, redis: Redis) -> None:
        assert redis("SET", "k", "--url").stdout == "OK\n"
        assert redis("GET", "k").stdout == '"--url"\n'

    def test_an_unknown_option_before_the_command_is_a_mistake(self, redis: Redis) -> None:
        done = redis("--ulr", "x", "PING")
        assert done.exit_code == 2
        assert "--ulr" in done.stderr

    def test_what_never_ends_is_refused(self, redis: Redis) -> None:
        done = redis("SUBSCRIBE", "news")
        assert done.exit_code == 2
        assert done.stderr == (
            "graygate: SUBSCRIBE never ends, so it needs a client of its own: use redis-cli\n"
        )

    def test_a_store_that_shuts_down_as_told_is_no_failure(self) -> None:
        with Valkey() as store:
            done = ask("--url", store.url, "SHUTDOWN", "NOSAVE")
        assert (done.exit_code, done.output) == (0, "")


class TestWhichStore:
    def test_settings_name_it(self, store: Server) -> None:
        assert ask("PING", GRAYGATE_REDIS__URL=store.url).stdout == "PONG\n"
        assert ask("--redis", store.unix_url, "PING").stdout == "PONG\n"

    def test_else_it_is_the_one_of_the_gateway_that_is_up_here(self, store: Server) -> None:
        self.note(store.url, os.getpid())
        assert ask("PING").stdout == "PONG\n"

    def test_a_named_store_comes_before_the_one_that_is_up(self, store: Server) -> None:
        self.note(f"redis://127.0.0.1:{free_port()}/0", os.getpid())
        assert ask("--url", store.url, "PING").stdout == "PONG\n"
        assert ask("PING", GRAYGATE_REDIS__URL=store.url).stdout == "PONG\n"

    def test_a_gateway_that_has_ended_counts_no_more(self, store: Server) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        self.note(store.url, ended.pid)
        unused = f"redis://127.0.0.1:{free_port()}/0"
        assert ask("PING", GRAYGATE_REDIS__URL=unused).exit_code == 3

    def test_a_settings_file_names_it(self, store: Server, tmp_path: Path) -> None:
        (tmp_path / "my.toml").write_text(f'[redis]\nurl = "{store.url}"\n')
        self.note(f"redis://127.0.0.1:{free_port()}/0", os.getpid())
        assert ask("--config", "my.toml", "PING").stdout == "PONG\n"

    def test_a_store_out_of_reach_is_told_in_one_sentence(self) -> None:
        port = free_port()
        done = ask("--url", f"redis://127.0.0.1:{port}", "PING")
        assert (done.exit_code, done.stdout) == (3, "")
        assert done.stderr.startswith(f"graygate: no connection to the store at 127.0.0.1:{port} ")
        assert done.stderr.count("\n") == 1

    def test_a_password_comes_from_the_settings_and_is_never_shown(self) -> None:
        with Valkey(password="hunter2") as store:
            good = ask("--url", store.url, "PING", GRAYGATE_REDIS__PASSWORD="hunter2")
            assert good.stdout == "PONG\n"
            wrong = ask("--url", store.url, "PING", GRAYGATE_REDIS__PASSWORD="hunter3")
            assert wrong.exit_code == 1
            assert "hunter" not in wrong.output
            in_url = ask("--url", f"redis://:hunter2@127.0.0.1:{store.port}", "PING")
            assert in_url.exit_code == 2
            assert "hunter2" not in in_url.output

    @staticmethod
    def note(store_url: str, pid: int) -> None:
        urls = {"data_url": "http://127.0.0.1:1", "admin_url": "http://127.0.0.1:2"}
        write_run_file(RUN_FILE, Running(pid=pid, store_url=store_url, **urls))


class Terminal:
    """The command with a terminal of its own, as a person has it."""

    def __init__(self, url: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN_IT, "redis", "--url", url],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "PYTHONPATH": REPOSITORY, "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def expect(self, text: str) -> None:
        """Reads on until the text comes, and forgets everything up to it."""
        deadline = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} not in {self.seen!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self.seen += os.read(self._master, 4096).decode()
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def test_a_person_gets_a_prompt_types_and_leaves(fresh_valkey: Server) -> None:
    terminal = Terminal(fresh_valkey.url)
    prompt = f"127.0.0.1:{fresh_valkey.port}> "
    try:
        terminal.expect(prompt)
        terminal.type("SET k v\n")
        terminal.expect("OK")
        terminal.expect(prompt)
        fresh_valkey.kill()
        terminal.type("GET k\n")
        terminal.expect("closed the connection")
        terminal.expect("not connected> ")
        fresh_valkey.start()
        terminal.type("GET k\n")
        terminal.expect("connected anew to")
        terminal.expect('"v"')
        terminal.expect(prompt)
        terminal.type("\x04")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()
