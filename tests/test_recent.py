"""What was used last is kept."""

from cartwheel.recent import Recent


class Counting:
    """Makes things that are their own names, and remembers what it made and let go."""

    def __init__(self, room: float) -> None:
        self.made: list[str] = []
        self.gone: list[str] = []
        self.things = Recent(room, self._make, lambda _, thing: self.gone.append(thing))

    def _make(self, key: str) -> str:
        self.made.append(key)
        return key.upper()


def test_the_longest_unused_makes_place() -> None:
    """Asking for a thing is using it."""
    counting = Counting(room=2)
    assert [counting.things.get(key, ()) for key in "abacb"] == ["A", "B", "A", "C", "B"]
    assert counting.made == ["a", "b", "c", "b"]
    assert counting.gone == ["B", "A"]
    assert counting.things.keys == ["c", "b"]


def test_what_is_busy_stays() -> None:
    """If all are, there is one more, until one of them is free."""
    counting = Counting(room=1)
    counting.things.get("a", ())
    counting.things.get("b", ["a"])
    assert counting.things.keys == ["a", "b"]
    counting.things.get("c", ["b"])
    assert counting.gone == ["A"]


def test_room_is_made_on_demand() -> None:
    """The longest unused goes first, what is busy never."""
    counting = Counting(room=9)
    for key in "abc":
        counting.things.get(key, ())
    assert [counting.things.drop_idle(["a"]) for _ in range(3)] == [True, True, False]
    assert counting.gone == ["B", "C"]


def test_things_are_let_go_once() -> None:
    counting = Counting(room=3)
    for key in "abc":
        counting.things.get(key, ())
    counting.things.drop("b")
    counting.things.close()
    assert counting.gone == ["B", "A", "C"]
    assert counting.things.keys == []
    counting.things.get("b", ())
    assert counting.made == ["a", "b", "c", "b"]
