"""What a way is, and how one is put down: a family of ways is a module, and a way is a function in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bypasses.stage import Stage

__all__ = ["Attempt", "Face", "Family", "Way"]

Attempt = Callable[["Stage"], None]


class Face(str, Enum):
    """How a program is guarded while a way is tried."""

    RAW = "no guard"
    GUARD = "guard() and drop-in"
    SWITCH = "install() alone"


GUARDED = frozenset({Face.GUARD, Face.SWITCH})


class Way(NamedTuple):
    """A way by which an unsafe message could get out.

    `refused_by` are the faces that must refuse it. Under those in `passes` it gets through, as `sentence`, which is
    a part of SECURITY.md, says. `missing` tells what it needs that is not here, or "".
    """

    id: str
    family: str
    says: str
    attempt: Attempt
    refused_by: frozenset[Face]
    passes: frozenset[Face]
    sentence: str
    missing: Callable[[], str]

    @property
    def name(self) -> str:
        """Family and id, by which a way is named."""
        return f"{self.family.replace(' ', '-')}/{self.id}"

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces under which it is tried, without the guard first."""
        return tuple(face for face in Face if face is Face.RAW or face in self.refused_by | self.passes)


def nothing() -> str:
    """Give what a way needs that is missing: nothing."""
    return ""


class Family:
    """Ways of one kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ways: list[Way] = []

    def way(self, attempt: Attempt) -> Attempt:
        """Put a function down as a way that is refused under every face. Its name is the id, and its docstring says
        what it attempts."""
        self.add(attempt.__name__, attempt.__doc__ or "", attempt)
        return attempt

    def way_where(
        self, *, only: Face | None = None, missing: Callable[[], str] = nothing
    ) -> Callable[[Attempt], Attempt]:
        """The same for one that has a meaning under one face only, or needs something that may be missing."""

        def put(attempt: Attempt) -> Attempt:
            self.add(attempt.__name__, attempt.__doc__ or "", attempt, only=only, missing=missing)
            return attempt

        return put

    def out_of_scope(
        self,
        sentence: str,
        *,
        refused_by: frozenset[Face] = frozenset(),
        only: Face | None = None,
        missing: Callable[[], str] = nothing,
    ) -> Callable[[Attempt], Attempt]:
        """Put a function down as a way that gets through, as this part of SECURITY.md says."""

        def put(attempt: Attempt) -> Attempt:
            passes = (GUARDED if only is None else frozenset({only})) - refused_by
            self._put(attempt.__name__, attempt.__doc__ or "", attempt, refused_by, passes, sentence, missing)
            return attempt

        return put

    def add(
        self,
        id: str,  # noqa: A002
        says: str,
        attempt: Attempt,
        *,
        only: Face | None = None,
        missing: Callable[[], str] = nothing,
    ) -> None:
        """Put down a way that is refused, where a function is made by another."""
        self._put(id, says, attempt, GUARDED if only is None else frozenset({only}), frozenset(), "", missing)

    def _put(
        self,
        id: str,  # noqa: A002
        says: str,
        attempt: Attempt,
        refused_by: frozenset[Face],
        passes: frozenset[Face],
        sentence: str,
        missing: Callable[[], str],
    ) -> None:
        says = re.sub(r"\s+", " ", says).strip()
        id = id.strip("_").replace("_", "-")  # noqa: A001
        self.ways.append(Way(id, self.name, says, attempt, refused_by, passes, sentence, missing))
