"""A plugin of botocore that turns every request to TURN_TO."""

from __future__ import annotations

import os
from typing import Any


def initialize_client_plugin(client: Any) -> None:
    """Subscribe to what a client is about to sign."""
    place = os.environ["TURN_TO"]

    def turn(request: Any, **_: Any) -> None:
        request.url = place

    client.meta.events.register_last("before-sign", turn)
