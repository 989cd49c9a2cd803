"""The switch for a whole process: every SQS client that is made from then on is guarded, whoever makes it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from threading import RLock
from types import ModuleType
from typing import Any

from safe_sqs.first_use import guard_new, said
from safe_sqs.guarded import is_guarded, is_sqs
from safe_sqs.late import after_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from safe_sqs.config import Config

__all__ = ["install", "installed", "sqs_clients", "uninstall"]

BOTOCORES = ("botocore.client", "awscli.botocore.client")
"""Where clients of botocore are made. The AWS CLI brings a botocore of its own, under both names."""

_SPAWN = "multiprocessing.spawn"


def install(config: Config | None = None) -> None:
    """Guard every SQS client that is made from now on in this process, and in processes that multiprocessing starts.

    It does not matter who makes a client, nor how: boto3's functions, sessions and resources, botocore itself, a
    library that imported boto3 before, aiobotocore and aioboto3. botocore is not imported for it. `config` is read
    from the environment and files when it is left out. Installing twice is the same as once; with another
    configuration, the clients made afterwards follow that.

    Clients that exist already are not guarded; an event `unguarded-clients` names them.

    Raises ConfigError for a wrong configuration or a report that cannot be written.
    """
    global _installation
    if config is not None:
        from safe_sqs.config import Config

        if not isinstance(config, Config):
            raise TypeError(f"install() takes a Config or nothing, not {config!r}")
    config = said(config)
    with _lock:
        if _installation is None:
            _installation = _Installation(config)
        else:
            _installation.begin_again()
            if _installation.config == config:
                return
        _installation.config = config
    _name_unguarded_clients()


def uninstall() -> None:
    """End what `install` began: clients made from now on are not guarded. Those that are guarded stay so."""
    global _installation
    with _lock:
        if _installation is not None:
            _installation.end()
            _installation = None


def installed() -> bool:
    """True between `install` and `uninstall`."""
    return _installation is not None


class _Installation:
    """What is wrapped while the switch is on, and how it was before."""

    def __init__(self, config: Config | None) -> None:
        self.config = config
        self._ended = False
        self._ours: list[Any] = []
        self._undo: list[Callable[[], None]] = []
        try:
            self._undo.append(after_import(BOTOCORES, self._wrap_clients))
            self._undo.append(after_import([_SPAWN], self._wrap_spawning))
        except BaseException:
            self.end()
            raise

    def begin_again(self) -> None:
        """Wrap what somebody put back since: a patch that began before the switch was on, and ended after it."""
        for name in BOTOCORES:
            if name in sys.modules:
                self._wrap_clients(sys.modules[name])
        if _SPAWN in sys.modules:
            self._wrap_spawning(sys.modules[_SPAWN])

    def end(self) -> None:
        self._ended = True
        for undo in reversed(self._undo):
            undo()

    def _wrap_clients(self, botocore_client: ModuleType) -> None:
        self._wrap(botocore_client.BaseClient, "__init__", self._guard_new_client)

    def _wrap_spawning(self, spawn: ModuleType) -> None:
        self._wrap(spawn, "get_preparation_data", self._prepare_child)

    def _wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        if self._stands_in(vars(owner)[name]):
            return
        ours, undo = _wrap(owner, name, wrapper)
        self._ours.append(ours)
        self._undo.append(undo)
        if self._ended:  # while the module was being imported
            undo()

    def _stands_in(self, function: Any) -> bool:
        while function is not None:
            if any(function is each for each in self._ours):
                return True
            function = getattr(function, "__wrapped__", None)
        return False

    def _guard_new_client(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        if is_sqs(client) and not is_guarded(client):
            guard_new(client, self.config)

    def _prepare_child(self, wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        """What a process that is started anew is told before anything else; it unpickles it, and so installs."""
        data = wrapped(*args, **kwargs)
        return {"safe_sqs": _InChild(self.config, data.get("sys_path", sys.path)), **data}


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> tuple[Any, Callable[[], None]]:
    """Wrap a function. Returns the wrapper, and what puts the original back; where others have wrapped it since, ours
    only ends."""
    from wrapt import FunctionWrapper  # imported as late as this because it takes as long as a tenth of boto3

    is_on = True
    original = vars(owner)[name]
    ours = FunctionWrapper(original, wrapper, enabled=lambda: is_on)
    setattr(owner, name, ours)

    def undo() -> None:
        nonlocal is_on
        is_on = False
        if vars(owner)[name] is ours:
            setattr(owner, name, original)

    return ours, undo


_lock = RLock()
_installation: _Installation | None = None


# --- processes that multiprocessing starts -----------------------------------------------------------------------

_IN_CHILD = """
import pickle, sys
before, sys.path = sys.path, path
try:
    from safe_sqs.process_wide import install_in_child
    install_in_child(pickle.loads(config))
finally:
    sys.path = before
"""
"""What a new process does first. Its path is not yet that of its parent, where safe_sqs may have come from."""


class _InChild:
    """Installs where it is unpickled."""

    def __init__(self, config: Config | None, path: list[str]) -> None:
        self._config = config
        self._path = path

    def __reduce__(self) -> Any:
        import pickle

        return exec, (_IN_CHILD, {"path": list(self._path), "config": pickle.dumps(self._config)})


def install_in_child(config: Config | None) -> None:
    """Install in a process that multiprocessing has started, and guard what modules loaded ahead have made there."""
    for client in sqs_clients():
        if not is_guarded(client):
            guard_new(client, config)
    install(config)


# --- clients that were there before ------------------------------------------------------------------------------


def _name_unguarded_clients() -> None:
    if not any(not is_guarded(client) for client in sqs_clients()):
        return
    gc.collect()  # those that nobody holds any more are not worth a word
    found = [_described(client) for client in sqs_clients() if not is_guarded(client)]
    if found:
        from safe_sqs import events

        text = (
            f"{len(found)} SQS {'client was' if len(found) == 1 else 'clients were'} made before safe_sqs.install(), "
            f"and {'is' if len(found) == 1 else 'are'} not guarded: {', '.join(sorted(found))}. "
            "Install earlier, or guard each with safe_sqs.guard(client)"
        )
        events.emit(events.Noticed("unguarded-clients", text))


def sqs_clients() -> list[Any]:
    """The SQS clients that exist in this process, guarded or not."""
    kinds = {
        below
        for name in BOTOCORES
        if name in sys.modules
        for kind in _kinds_of(sys.modules[name].BaseClient)
        if kind.__name__ == "SQS"
        for below in _kinds_of(kind)
    }
    # By their type, and not with isinstance(), which would wake every lazy object of the program.
    # One that is being made just now has no `meta` yet.
    return [each for each in gc.get_objects() if type(each) in kinds and "meta" in vars(each)] if kinds else []


def _kinds_of(kind: type) -> list[type]:
    below: list[type] = kind.__subclasses__()
    return [kind, *(each for one in below for each in _kinds_of(one))]


def _described(client: Any) -> str:
    from safe_sqs.model import without_secrets

    meta = getattr(client, "meta", None)
    return f"region {getattr(meta, 'region_name', '?')}, endpoint {without_secrets(getattr(meta, 'endpoint_url', '?'))}"
