"""What runs inside a Lambda function: a handler that stands before the function's own, and a decorator.

`safe_sqs.lambda_layer.handler` is the handler to name in a function's configuration; the wrapper script of the layer
names it by itself. It exists when somebody asks for it: installs the guard, then loads the function's own handler.
"""

from __future__ import annotations

from safe_sqs.lambda_layer.bootstrap import guarded, own_handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["guarded"]


def __getattr__(name: str) -> Any:
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["handler"] = found = own_handler()
    return found
