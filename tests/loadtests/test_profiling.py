from __future__ import annotations

from loadtests.profiling import summary


def test_functions_are_ordered_by_their_share_of_the_stacks_they_are_in() -> None:
    lines = summary(["main;parse 30", "main;send;write 60", "main 10"]).splitlines()[1:]
    assert [line.split() for line in lines] == [
        ["10.0%", "100.0%", "main"],
        ["0.0%", "60.0%", "send"],
        ["60.0%", "60.0%", "write"],
        ["30.0%", "30.0%", "parse"],
    ]


def test_a_function_that_calls_itself_counts_once() -> None:
    lines = summary(["f;f;f 4"]).splitlines()[1:]
    assert [line.split() for line in lines] == [["100.0%", "100.0%", "f"]]
