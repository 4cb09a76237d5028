"""The room for readings of several numbers: fixed, and thinned evenly when it is full."""

from toolkit.probes._stack import _CAPACITY, Stack


def test_it_gives_back_what_it_was_given_column_by_column():
    stack = Stack(3)
    assert stack.columns() == [[], [], []]
    stack.add(0, 1, -(2**63))
    stack.add(-1, 2, 2**63 - 1)
    assert stack.columns() == [[0, -1], [1, 2], [-(2**63), 2**63 - 1]]
    stack.clear()
    assert stack.columns() == [[], [], []]


def test_when_it_is_full_every_second_reading_stays_as_often_as_needed():
    stack = Stack(2)
    for number in range(4 * _CAPACITY + 1):
        stack.add(number, -number)
    numbers, negated = stack.columns()
    assert numbers == list(range(0, 4 * _CAPACITY + 1, 8))
    assert negated == [-number for number in numbers]


def test_its_room_never_grows():
    stack = Stack(2)
    room = len(stack._room)
    for number in range(_CAPACITY + 1):
        stack.add(number, number)
    assert len(stack._room) == room == _CAPACITY * 16
