"""Sessions of aiohttp that follow no redirect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["follow_no_redirect"]


class _Straight:
    """A session of aiohttp that hands out a redirect as the answer that it is."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def request(self, *arguments: Any, **more: Any) -> Any:
        return self._session.request(*arguments, **(more | {"allow_redirects": False}))


class _GetStraight:
    """In place of what hands out a session of aiohttp, whoever's that is."""

    def __init__(self, get_session: Callable[[Any], Any]) -> None:
        self._get_session = get_session

    async def __call__(self, proxy_url: Any) -> _Straight:
        return _Straight(await self._get_session(proxy_url))


def follow_no_redirect(http_session: Any) -> None:
    """Have a session of aiobotocore follow no redirect, as botocore's own does not: aiohttp would send the message and
    the session token wherever an answer points to, over plain HTTP too."""
    is_of_aiohttp = hasattr(http_session, "_sessions")
    if is_of_aiohttp and not isinstance(http_session._get_session, _GetStraight):
        http_session._get_session = _GetStraight(http_session._get_session)
