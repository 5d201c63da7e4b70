"""Things that are dear to make and to have, such as compiled programs: those that were used last are kept."""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


class Recent(Generic[Key, Thing]):
    """Things by key, ``room`` of them or all that are busy. A new one takes the place of the longest unused.

    ``make(key)`` makes one when it is first asked for, ``let_go(key, thing)`` frees it.
    """

    def __init__(
        self, room: float, make: Callable[[Key], Thing], let_go: Callable[[Key, Thing], None] = lambda *_: None
    ) -> None:
        self._room, self._make, self._let_go = room, make, let_go
        self._things: dict[Key, Thing] = {}  # the longest unused first

    @property
    def keys(self) -> list[Key]:
        """Of the things that are there, the longest unused first."""
        return list(self._things)

    def get(self, key: Key, busy: Collection[Key]) -> Thing:
        """The thing of that key. What is ``busy`` stays, even if that is more than there is room for."""
        while key not in self._things and len(self._things) >= self._room and self.drop_idle(busy):
            pass
        thing = self._things.pop(key) if key in self._things else self._make(key)
        self._things[key] = thing
        return thing

    def drop_idle(self, busy: Collection[Key]) -> bool:
        """Free the longest unused of those that are not ``busy``; False if there is none."""
        idle = next((key for key in self._things if key not in busy), None)
        if idle is not None:
            self.drop(idle)
        return idle is not None

    def drop(self, key: Key) -> None:
        """Free a thing, which will be made anew when it is asked for again."""
        self._let_go(key, self._things.pop(key))

    def close(self) -> None:
        """Free all of them."""
        for key in self.keys:
            self.drop(key)
