"""The adapter to aiobotocore: the same judgements as in `safe_sqs.hooks`, with everything awaited that takes time.

Judgements themselves are computed in a thread, because a large policy takes tenths of a second, and the event loop
has others to serve.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from functools import cache
from ssl import SSLContext
from typing import Any, TypeVar

from aiobotocore.session import AioSession
from botocore.exceptions import HTTPClientError

from safe_sqs.cache import Flight
from safe_sqs.hooks import (
    CREDENTIALS_MISSING,
    METHODS,
    NO_ANSWER,
    Hooks,
    addresses_in,
    asking,
    is_asking,
    unreadable,
)
from safe_sqs.model import Ask, Unreadable, Work
from safe_sqs.wire import Freeze, Resolve, Steps, key_client_arguments

__all__ = ["AsyncHooks"]

R = TypeVar("R")

_DATA = ("endpoints", "partitions", "sdk-default-configuration", "_retry")
_KEY_DATA = ("service-2", "endpoint-rule-set-1")
"""botocore's data files that a KMS client reads."""


class AsyncHooks(Hooks):
    """The guard's ear and hand at one client of aiobotocore, whose events await what handlers return."""

    awaits = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._verified = False
        self._key_clients: list[Any] = []

    def _sign_handler(self) -> Callable[..., Any]:
        sign = super()._sign_handler()
        if not self.config.verify_queues:
            return sign

        # The constructor of a client cannot await, so the check at start is made by the first requests, and by each one
        # until it has passed, even where the way out is approved: the look at a queue approves it.
        def before_sign(**event: Any) -> Any:
            return sign(**event) if self._verified or is_asking() else self._start(sign, event)

        return before_sign

    async def _start(self, sign: Callable[..., Any], event: Mapping[str, Any]) -> None:
        await self.verify_queues()
        self._verified = True
        judgement = sign(**event)
        if judgement is not None:
            await judgement

    # mypy: what a base class returns is here what a coroutine returns
    async def _run(self, steps: Steps[R]) -> R:  # type: ignore[override]
        try:
            want = next(steps)
            while True:
                try:
                    answer = await self._bring(want)
                except BaseException as error:  # a cancellation too ends what is under way
                    want = steps.throw(error)
                else:
                    want = steps.send(answer)
        except StopIteration as stop:
            result: R = stop.value
            return result

    def _place(self) -> Hashable:
        """Among whom a flight may be waited for: the tasks of the same event loop."""
        return _loop()

    async def _bring(self, want: Ask | Flight | Freeze | Resolve | Work) -> Any:
        if isinstance(want, Work):
            return await _in_thread(want.judge)
        if isinstance(want, Freeze):
            return await want.credentials.get_frozen_credentials()
        if isinstance(want, Flight):
            return await _landing(want)
        if isinstance(want, Resolve):
            return await self._resolve(want)
        return await self._answer(want)

    async def _resolve(self, want: Resolve) -> tuple[str, ...]:
        try:
            resolver = self._client._endpoint.http_session._connector_args.get("resolver")
            if resolver is not None:  # of the program's own, which aiohttp asks in place of the system's
                found = await resolver.resolve(want.host, want.port, socket.AF_UNSPEC)
                return tuple(str(each["host"]) for each in found)
            return addresses_in(await _getaddrinfo(want.host, want.port))
        except OSError:
            return ()

    async def _answer(self, ask: Ask) -> Mapping[str, object] | Unreadable:  # type: ignore[override]
        try:
            with asking():
                answer: Mapping[str, object]
                if ask.service == "sqs":
                    answer = await getattr(self._client, METHODS[ask.operation])(**ask.parameters)
                else:
                    answer = await self._answer_about_key(ask)
        except CREDENTIALS_MISSING:
            raise
        except NO_ANSWER as error:
            # A closed client says nothing of the queue, and others may be waiting for the answer.
            if _is_closed(self._client, error):
                raise
            return unreadable(error, ask)
        return answer

    async def _answer_about_key(self, ask: Ask) -> Mapping[str, object]:
        """Ask KMS. A client serves one look at a time, and is closed after it: nobody else would close it."""
        kept = self._key_clients
        async with kept.pop() if kept else await self._new_key_client() as client:
            self._watch_keys(client)
            answer: Mapping[str, object] = await getattr(client, METHODS[ask.operation])(**ask.parameters)
        kept.append(client)
        return answer

    async def _new_key_client(self) -> Any:
        session = AioSession()
        session.register_component("credential_provider", _Provider(self._client._request_signer._credentials))
        session.register_component("data_loader", await _in_thread(_key_data))
        return session.create_client(**_key_client_arguments(self._client))


def _key_client_arguments(client: Any) -> dict[str, Any]:
    arguments = key_client_arguments(client)
    config = arguments["config"] = copy(client.meta.config)
    config.http_session_cls = type(client._endpoint.http_session)
    if isinstance(arguments["verify"], SSLContext):  # what aiobotocore's httpx session made of it
        config.connector_args = {**config.connector_args, "ssl_context": arguments["verify"]}
        arguments["verify"] = True
    return arguments


@cache
def _key_data() -> Any:
    """What loads botocore's data files, with those in memory that a KMS client needs."""
    loader = AioSession().get_component("data_loader")
    for name in _DATA:
        loader.load_data(name)
    for name in _KEY_DATA:
        loader.load_service_model("kms", name)
    return loader


def _is_closed(client: Any, error: BaseException) -> bool:
    """True when a request came to nothing because its client is closed, or about to be."""
    session = client._endpoint.http_session
    if hasattr(session, "_sessions"):  # aiohttp's: those of a client that could not even begin have a plain error
        return session._sessions is None or (not session._sessions and type(error) is not HTTPClientError)
    return getattr(session, "_session", None) is None or session._session.is_closed


class _Provider:
    """Hands out credentials that are already there."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> Any:
        return self._credentials


# --- event loops -------------------------------------------------------------------------------------------------


def _trio() -> Any:
    """The other library whose event loop aiobotocore runs on, with httpx; loaded by the program that runs it."""
    return sys.modules["trio"]


def _loop() -> Hashable:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        token: Hashable = _trio().lowlevel.current_trio_token()
        return token


async def _getaddrinfo(host: str, port: int) -> Any:
    loop = _loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await _trio().socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _landing(future: Future[Any]) -> None:
    """Wait for a future. Whoever gives up waiting does not end it for the others."""
    loop: Any = _loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        landed: Any = asyncio.Event()
        soon, gone = loop.call_soon_threadsafe, RuntimeError
    else:
        landed = _trio().Event()
        soon, gone = loop.run_sync_soon, _trio().RunFinishedError

    def tell(_: object) -> None:
        with suppress(gone):  # a loop that was closed meanwhile
            soon(landed.set)

    future.add_done_callback(tell)
    await landed.wait()


async def _in_thread(function: Callable[[], R]) -> R:
    """What a function returns that takes its time."""
    try:
        future = _threads().submit(function)
    except RuntimeError:  # the interpreter is about to end, and starts no thread any more
        return function()
    await _landing(future)
    return future.result()


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads of the guard's own: those of the loop may all be waiting for a call that waits for the guard."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="safe_sqs")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # its threads are not there
