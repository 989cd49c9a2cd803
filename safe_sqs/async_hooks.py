"""The adapter to aiobotocore: the same judgements as in `safe_sqs.hooks`, with everything awaited that takes time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, TypeVar

from aiobotocore.session import AioSession

from safe_sqs.cache import Flight
from safe_sqs.hooks import CREDENTIALS_MISSING, METHODS, NO_ANSWER, Hooks, addresses_in, asking, unreadable
from safe_sqs.model import Ask, Unreadable
from safe_sqs.way_out import WayOut
from safe_sqs.wire import Freeze, Resolve, Steps, key_client_arguments

__all__ = ["AsyncHooks"]

R = TypeVar("R")


class AsyncHooks(Hooks):
    """The guard's ear and hand at one client of aiobotocore, whose events await what handlers return."""

    awaits = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._verified = not self.config.verify_queues

    def _judge_unsigned(self, *arguments: Any) -> Steps[None]:
        # The constructor of a client cannot await, so the check at start is made by the first requests.
        if not self._verified and not asking.get():
            yield from self._judge_named_queues()
            self._verified = True
        yield from super()._judge_unsigned(*arguments)

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

    async def _bring(self, want: Ask | Flight | Freeze | Resolve) -> Any:
        if isinstance(want, Freeze):
            return await want.credentials.get_frozen_credentials()
        if isinstance(want, Flight):
            return await _landing(want)
        if isinstance(want, Resolve):
            try:
                resolver = asyncio.get_running_loop()
                return addresses_in(await resolver.getaddrinfo(want.host, want.port, type=socket.SOCK_STREAM))
            except OSError:
                return ()
        return await self._answer(want)

    async def _answer(self, ask: Ask) -> Mapping[str, object] | Unreadable:  # type: ignore[override]
        token = asking.set(True)
        try:
            answer: Mapping[str, object]
            if ask.service == "sqs":
                answer = await getattr(self._client, METHODS[ask.operation])(**ask.parameters)
            else:
                async with self._new_key_client() as client:
                    WayOut(client, self._guard, "kms", self._refuse, self._run).subscribe(client.meta.events)
                    answer = await getattr(client, METHODS[ask.operation])(**ask.parameters)
        except CREDENTIALS_MISSING:
            raise
        except NO_ANSWER as error:
            return unreadable(error, ask)
        finally:
            asking.reset(token)
        return answer

    def _new_key_client(self) -> Any:
        """A KMS client for one look: nobody would close one that is kept."""
        session = AioSession()
        session.register_component("credential_provider", _Provider(self._client._request_signer._credentials))
        return session.create_client(**key_client_arguments(self._client))


async def _landing(flight: Flight) -> None:
    """Wait for a flight. Whoever gives up waiting does not end it for the others."""
    loop = asyncio.get_running_loop()
    landed = loop.create_future()

    def tell() -> None:
        if not landed.done():
            landed.set_result(None)

    def tell_soon(_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell)

    flight.add_done_callback(tell_soon)
    await landed


class _Provider:
    """Hands out credentials that are already there."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> Any:
        return self._credentials
