"""The file of what waits and stands in no records file: read back as it was, whatever has become of a part of it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Origin
from hoptrace_collector.receive.journal import Journal, Kept

ORIGIN = Origin((("service.name", "f"),), ("hoptrace", "0.1.0"))
BOTH = frozenset(("", "other"))


def journal(path: Path, limit: int = 100_000) -> Journal:
    return Journal(str(path / "journal"), limit, Counters(lambda _: None))


def kept(number: int, size: int = 10) -> Kept:
    return Kept("traces", ORIGIN if number % 2 else None, number, b"%d" % number * size, BOTH)


def test_what_waits_is_read_back_in_its_order_and_only_for_those_who_have_not_had_it(tmp_path: Path) -> None:
    first = journal(tmp_path)
    assert first.load() == {}
    numbers = [first.put(kept(number)) for number in range(4)]
    first.write()
    first.left(numbers[0], frozenset())
    first.left(numbers[1], frozenset(("other",)))
    first.write()
    expected = {
        numbers[1]: kept(1)._replace(destinations=frozenset(("other",))),
        numbers[2]: kept(2),
        numbers[3]: kept(3),
    }
    second = journal(tmp_path)
    assert second.load() == expected
    fresh = second.put(kept(9))
    assert fresh > max(numbers), "numbers are not given out twice"
    second.write()
    assert journal(tmp_path).load() == {**expected, fresh: kept(9)}


def test_the_file_is_emptied_when_nothing_waits_and_stays_small_while_things_come_and_go(tmp_path: Path) -> None:
    one = journal(tmp_path)
    stays = one.put(kept(1))
    for number in range(500):
        passes = one.put(kept(number, 100))
        one.write()
        one.left(passes, frozenset())
        one.write()
    assert (tmp_path / "journal").stat().st_size < 70_000
    assert journal(tmp_path).load() == {stays: kept(1)}
    one.left(stays, frozenset())
    one.write()
    assert (tmp_path / "journal").stat().st_size == 0
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_it_keeps_no_more_than_its_limit(tmp_path: Path) -> None:
    one = journal(tmp_path, limit=10_000)
    numbers = [one.put(kept(1, 1000)) for _ in range(20)]
    one.write()
    assert 0 < sum(map(bool, numbers)) < 10
    assert len(journal(tmp_path, 10_000).load()) == sum(map(bool, numbers))


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_damage_costs_what_is_damaged_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run")
    one = journal(path)
    numbers, ends = [], []
    for number in range(5):
        numbers.append(one.put(kept(number)))
        one.write()
        ends.append((path / "journal").stat().st_size)
    content = bytearray((path / "journal").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    hit = next(index for index, end in enumerate(ends) if at < end)
    if data.draw(st.booleans()):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        left = [number for index, number in enumerate(numbers) if index != hit]
    else:
        del content[at:]
        left = numbers[:hit]
    (path / "journal").write_bytes(content)
    again = journal(path)
    assert list(again.load()) == left
    fresh = again.put(kept(7))
    again.write()
    assert list(journal(path).load()) == [*left, fresh], "and what is written after it is found"


@given(st.binary(max_size=300) | st.sampled_from([b"hopj", b"hopj" * 100, b"hopj\xff\xff\xff\xff" * 9]))
@settings(deadline=None, max_examples=100)
def test_garbage_is_an_empty_journal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("run")
    (path / "journal").write_bytes(content)
    assert journal(path).load() == {}


def test_a_file_that_cannot_be_read_is_an_empty_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    assert journal(tmp_path).load() == {}
