from __future__ import annotations

from gateway.state.chain import MOST_FINDINGS, Verifier, chain_of

Row = tuple[bytes, list[bytes]]


def rows(count: int, first: int = 1, earlier: bytes = b"") -> list[Row]:
    """Entries as the script writes them; even ones changed a list."""
    made: list[Row] = []
    for number in range(first, first + count):
        lists = [b"route/chat/blacklist", b"+3:bob"] if number % 2 == 0 else []
        if lists:
            made.append((b"%d-0" % number, lists))
        head = [b"by", b"alice", b"at", b"%d" % number, b"prev", earlier]
        earlier = chain_of(earlier, b"%d-1" % number, lists, head)
        made.append((b"%d-1" % number, [*head, b"chain", earlier]))
    return made


def problems(found: list[Row], newest: int | None = None, most: int = 1000) -> list[str]:
    verifier = Verifier(most)
    for row in found:  # in any portions
        verifier.take([row])
    verifier.finish(verifier.last if newest is None else newest)
    return verifier.problems


def test_a_whole_chain_is_good_and_so_is_one_that_was_trimmed() -> None:
    whole = rows(20)
    assert problems(whole) == []
    assert problems(whole[-14:], most=14) == []
    assert problems(whole[-14:], most=15) == [
        "what came before 12 was removed, and not by trimming"
    ]
    assert problems([]) == []


def test_any_byte_that_changes_is_found() -> None:
    whole = rows(5)
    for place, (entry_id, flat) in enumerate(whole):
        for number, word in enumerate(flat):
            for other in (word + b"x", b""):
                if other == word:
                    continue
                changed = [*flat[:number], other, *flat[number + 1 :]]
                assert problems([*whole[:place], (entry_id, changed), *whole[place + 1 :]])


def test_any_entry_that_goes_is_found() -> None:
    whole = rows(6)
    for place in range(len(whole)):
        assert problems([*whole[:place], *whole[place + 1 :]], newest=6), whole[place][0]


def test_words_cannot_move_from_one_field_to_the_next() -> None:
    one = chain_of(b"", b"1-1", [], [b"why", b"ab"])
    assert one != chain_of(b"", b"1-1", [], [b"whya", b"b"])
    assert one != chain_of(b"", b"1-1", [b"why"], [b"ab"])
    assert one != chain_of(b"", b"2-1", [], [b"why", b"ab"])


def test_an_end_without_head_and_an_entry_without_hash_are_found() -> None:
    whole = rows(3)
    assert problems([*whole, (b"4-0", [b"a", b"b"])], newest=4)[0] == "entry 4 lacks its head"
    bare = [(b"4-1", [b"by", b"eve"])]
    told = ["entry 4 has no hash, though the one before it has"]
    assert problems([*whole, *bare]) == told


def test_findings_are_bounded() -> None:
    assert len(problems([(b"1-9", [])] * (MOST_FINDINGS + 9))) == MOST_FINDINGS
