"""Many queues, in many accounts and regions: how they are reached, looked at and changed."""

from __future__ import annotations

__all__: list[str] = []
