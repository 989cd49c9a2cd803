"""Does something right after a module was imported, without importing it: before whoever wanted it goes on.

So a guard can be set up around a program that has not loaded botocore yet, and may have reasons to load other things
first (gevent).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

__all__ = ["after_import"]


def after_import(names: Iterable[str], action: Callable[[ModuleType], None]) -> Callable[[], None]:
    """Have `action(module)` called after the import of each module of these names; at once for those already there.

    An exception of `action` makes the import fail. Returns the function that ends this.
    """
    finder = _Finder(names, action)
    sys.meta_path.insert(0, finder)
    try:
        for name in names:
            if name in sys.modules:
                __import__(name)  # waits for another thread that is importing it just now, past the finder
                action(sys.modules[name])
    except BaseException:
        finder.end()
        raise
    return finder.end


class _Finder:
    """Stands before the other finders, finds what they find, and puts a loader of its own in front of theirs."""

    def __init__(self, names: Iterable[str], action: Callable[[ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._action = action

    def end(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._names or self not in sys.meta_path:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            if not hasattr(finder, "find_spec"):
                continue
            spec: Any = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._action)
                return spec
        return None


class _Loader:
    """Loads a module as its own loader does, then acts."""

    def __init__(self, loader: Any, action: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._action = action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        # Whoever looks at the module sees its own loader.
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action(module)
