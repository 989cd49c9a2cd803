"""The drop-in face for asyncio: the sessions of aiobotocore and aioboto3, with SQS clients that are guarded.

Import `get_session` and `AioSession` from here in place of `aiobotocore.session`, or import this module in place of
aioboto3 (`import safe_sqs.aio as aioboto3`). aioboto3 is imported when its `Session` is asked for.
"""

from __future__ import annotations

import sys
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from safe_sqs.first_use import guard_new, said
from safe_sqs.guarded import is_guarded, is_sqs

try:
    import aiobotocore.session as _theirs
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "aiobotocore":
        raise
    raise ImportError('safe_sqs.aio needs aiobotocore, which is not installed: pip install "safe_sqs[aio]"') from None

if TYPE_CHECKING:  # so that the drop-in is typed exactly as what it stands for
    from aioboto3 import Session as Session
    from aiobotocore.session import AioSession as AioSession
    from aiobotocore.session import get_session as get_session

    from safe_sqs.adapters import guard as guard
else:

    class AioSession(_theirs.AioSession):
        """aiobotocore's session, whose SQS clients are guarded by the configuration of the process."""

        @wraps(_theirs.AioSession.create_client)
        def create_client(self, *args, **kwargs):
            return _Guarding(super().create_client(*args, **kwargs))

    def get_session(env_vars=None):
        """Return a new session, as `aiobotocore.session.get_session` does. Its SQS clients are guarded."""
        return AioSession(env_vars)


__all__ = ["AioSession", "get_session", "guard"]  # without Session, so that importing all does not need aioboto3


class _Guarding:
    """Makes a client when it is entered, as aiobotocore's own context does, and guards it."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> Any:
        client = await self._context.__aenter__()
        try:
            _guard(client)
        except BaseException:
            await self._context.__aexit__(*sys.exc_info())
            raise
        return client

    async def __aexit__(self, *error: Any) -> Any:
        return await self._context.__aexit__(*error)


def _guard(client: Any) -> None:
    if is_sqs(client) and not is_guarded(client):
        guard_new(client, said())


def _session_of_aioboto3() -> Any:
    try:
        from aioboto3 import Session as Theirs
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "aioboto3":
            raise
        needed = 'pip install "safe_sqs[aio]" aioboto3'
        raise ImportError(f"safe_sqs.aio.Session needs aioboto3, which is not installed: {needed}") from None

    class Session(Theirs):  # type: ignore[misc, unused-ignore]
        """aioboto3's session, whose SQS clients and resources are guarded by the configuration of the process."""

        @wraps(Theirs.client)
        def client(self, *args: Any, **kwargs: Any) -> Any:
            context = super().client(*args, **kwargs)
            return context if isinstance(context, _Guarding) else _Guarding(context)

    Session.__qualname__ = "Session"
    return Session


if not TYPE_CHECKING:

    def __getattr__(name):
        if name == "session":  # as in aioboto3.session and aiobotocore.session, whose own would not be guarded
            return sys.modules[__name__]
        if name == "Session":
            value = _session_of_aioboto3()
        elif name == "guard":
            value = import_module("safe_sqs.adapters").guard
        else:
            return _passed_through(name)
        globals()[name] = value
        return value


def _passed_through(name: str) -> Any:
    """Whatever else aioboto3 or aiobotocore offer under a name."""
    if not name.startswith("__"):
        for each in ("aiobotocore.session", "aiobotocore", "aioboto3"):
            try:
                return getattr(import_module(each), name)
            except (AttributeError, ModuleNotFoundError):
                continue
    raise AttributeError(f"module 'safe_sqs.aio' has no attribute {name!r}")
