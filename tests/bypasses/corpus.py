"""All families and all ways."""

from __future__ import annotations

from bypasses import (
    batches,
    beyond,
    cache_confusion,
    changes,
    client_creation,
    copying,
    credentials,
    endpoints,
    environment,
    exemptions,
    forks,
    handlers,
    internals,
    paginators,
    pickling,
    presigned,
    queue_urls,
    redirects,
    resources,
    retries,
    roles,
    stubbing,
    subclassing,
    threads,
    time_jumps,
    unicode_names,
    working_directory,
)

__all__ = ["FAMILIES", "WAYS"]

FAMILIES = tuple(
    module.FAMILY
    for module in (
        client_creation,
        internals,
        endpoints,
        redirects,
        environment,
        credentials,
        handlers,
        retries,
        presigned,
        pickling,
        copying,
        threads,
        forks,
        subclassing,
        stubbing,
        resources,
        paginators,
        batches,
        queue_urls,
        cache_confusion,
        time_jumps,
        exemptions,
        working_directory,
        unicode_names,
        changes,
        roles,
        beyond,
    )
)

WAYS = tuple(way for family in FAMILIES for way in family.ways)
