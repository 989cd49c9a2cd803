"""Puts the guard to a client: with the adapter that fits it."""

from __future__ import annotations

import os
from threading import RLock
from typing import Any, TypeVar

from safe_sqs.cache import Clock
from safe_sqs.config import Config
from safe_sqs.guarded import guards_of, is_asynchronous, is_sqs
from safe_sqs.hooks import Hooks
from safe_sqs.loosened import tell_if_loose
from safe_sqs.sources import record_path, report_path

__all__ = ["guard", "subscribe"]

C = TypeVar("C")


def guard(client: C, config: Config | None = None, *, clock: Clock | None = None) -> C:
    """Guard an existing SQS client of boto3, botocore, aiobotocore or aioboto3, and return it.

    Guarding twice with the same configuration is the same as once; with another configuration, both hold. `config` is
    read from the environment and files when it is left out. `clock` is for tests.

    Raises ConfigError for a wrong configuration, or a report or recording that cannot be written, TypeError for
    anything but an SQS client, and RefusedError when one of `verify_queues` is not fit for use; the calls of an
    asynchronous client raise that in place of this.
    """
    if not is_sqs(client):
        service = _service_of(client)
        hint = "; of a resource, pass resource.meta.client" if hasattr(client, "meta") and not service else ""
        raise TypeError(f"guard() takes an SQS client of boto3, not {service or type(client).__name__}{hint}")
    if report_path() is not None:
        from safe_sqs.report import start

        start()
    if record_path() is not None:
        from safe_sqs import usage

        usage.start()
    hooks = subscribe(client, config, clock)
    if not hooks.awaits:
        hooks.verify_queues()
    return client


def _service_of(client: Any) -> str:
    """The name of the service that a client of botocore is for, or "" for anything else."""
    return str(getattr(getattr(getattr(client, "meta", None), "service_model", None), "service_name", ""))


def subscribe(client: Any, config: Config | None = None, clock: Clock | None = None) -> Hooks:
    """Guard a client, without a look at any queue. Raises ConfigError."""
    hooks = _guard_of(client, config or Config(), clock or Clock())
    if record_path() is not None:
        from safe_sqs.listening import listen

        listen(client)
    return hooks


def _guard_of(client: Any, config: Config, clock: Clock) -> Hooks:
    with _guarding:
        for each in guards_of(client):
            if isinstance(each, Hooks) and (each.config, each.clock) == (config, clock):
                return each
        hooks = _adapter_for(client)(client, config, clock)
        hooks.subscribe()
    tell_if_loose(config)
    return hooks


_guarding = RLock()
"""Threads that guard a client at the same moment put one guard to it."""


def _begin_anew() -> None:
    """In a process that was forked off, nobody holds the lock."""
    global _guarding
    _guarding = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _adapter_for(client: Any) -> type[Hooks]:
    if is_asynchronous(client):
        from safe_sqs.async_hooks import AsyncHooks

        return AsyncHooks
    return Hooks
