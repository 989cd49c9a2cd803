"""Installs the guard in a Lambda function, and puts the judgement of its events before its handler.

Lambda's runtime leaves out of its stack traces what comes first in them and lies in a file of this name. So an error
of the function's own code looks as it would without the guard.
"""

from __future__ import annotations

import os
import sys
from functools import wraps

from safe_sqs.process_wide import install
from safe_sqs.sources import HANDLER_VARIABLE, any_said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from safe_sqs.config import Config

__all__ = ["guarded", "own_handler", "queues_of"]

_OURS = ("safe_sqs.lambda_layer.handler", "safe_sqs/lambda_layer.handler")
_LAMBDAS_VARIABLE = "_HANDLER"
_MARK = "_safe_sqs_guarded"
_IS_COROUTINE_FUNCTION = 0x80


def guarded(target: Any = None) -> Any:
    """Guard a Lambda function from its own code, as a decorator of its handler: `@guarded` or `@guarded(config)`.

    It installs the guard in the process, as `safe_sqs.install` does, and judges the queues that Lambda polled for the
    function, before the handler runs: see the setting `event_source`. The clients of boto3 have to be made after the
    decorator; the layer does not need that. With the layer as well, it is the same as once.

    Raises ConfigError for a wrong configuration. What it returns raises RefusedError when `event_source` is `enforce`
    and the queue of an event is not fit for use.
    """
    if callable(target):
        return _put_before(target, None)
    return lambda handler: _put_before(handler, target)


def own_handler() -> Any:
    """Install the guard, and load the function's own handler, which SAFE_SQS_HANDLER names.

    Whatever fails is told as Lambda's runtime tells it of a handler that it loads itself.
    """
    runtime = sys.modules.get("awslambdaric.bootstrap")
    try:
        install()
        return _put_before(_load(_own_name(), runtime), None)
    except Exception as error:
        fault = getattr(runtime, "FaultException", None)
        if fault is None or isinstance(error, fault):
            raise
        # An AttributeError would be taken for a missing handler; and importing this module is not the function's doing.
        told = runtime.build_fault_result(sys.exc_info(), None)  # type: ignore[union-attr]
        raise fault(told["errorType"], told["errorMessage"], told["stackTrace"]) from error


def _own_name() -> str:
    name = os.environ.get(HANDLER_VARIABLE, "")
    if not name or name in _OURS:
        from safe_sqs.errors import ConfigError

        problem = "has to name the function's own handler, such as app.handler"
        raise ConfigError(HANDLER_VARIABLE, "environment", problem)
    if os.environ.get(_LAMBDAS_VARIABLE) in _OURS:  # others who wrap handlers look here
        os.environ[_LAMBDAS_VARIABLE] = name
    return name


def _load(name: str, runtime: Any) -> Any:
    """The handler, found by the runtime itself, so that it is found, and not found, as it would be without us."""
    find = getattr(runtime, "_get_handler", None)
    if find is not None:
        return find(name)
    from importlib import import_module

    module, _, function = name.rpartition(".")
    return getattr(import_module(module.replace("/", ".")), function)


def _put_before(handler: Any, config: Config | None) -> Any:
    """Install, and judge the queues of events before the handler sees them."""
    if config is None and any_said():
        from safe_sqs.config import Config

        config = Config()
    install(config)
    if not callable(handler) or hasattr(handler, _MARK) or (config is not None and config.event_source.value == "off"):
        return handler

    @wraps(handler)
    def judged(*args: Any, **kwargs: Any) -> Any:
        for arn in queues_of(args, kwargs):
            _judge(arn, config)
        return handler(*args, **kwargs)

    @wraps(handler)
    async def judged_in_a_task(*args: Any, **kwargs: Any) -> Any:
        for arn in queues_of(args, kwargs):
            from asyncio import to_thread

            await to_thread(_judge, arn, config)
        return await handler(*args, **kwargs)

    flags = getattr(getattr(handler, "__code__", None), "co_flags", 0)
    before: Callable[..., Any] = judged_in_a_task if flags & _IS_COROUTINE_FUNCTION else judged
    setattr(before, _MARK, True)
    return before


def queues_of(args: tuple[Any, ...], kwargs: Any) -> list[str]:
    """The ARNs of the queues that the messages of an event come from, each once; "" for one that is not named.

    Lambda hands messages over in a list under `Records`, and EventBridge Pipes as the list itself.
    """
    event = args[0] if args else kwargs.get("event")
    records = event.get("Records") if isinstance(event, dict) else event
    if not isinstance(records, list):
        return []
    found = {
        record.get("eventSourceARN"): None
        for record in records
        if isinstance(record, dict) and record.get("eventSource") == "aws:sqs"
    }
    return [arn if isinstance(arn, str) else "" for arn in found]


def _judge(arn: str, config: Config | None) -> None:
    from safe_sqs.lambda_layer.event_source import judge  # brings botocore, which the function may not need

    judge(arn, config)
