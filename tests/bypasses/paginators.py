"""Paginators and waiters, which call the client by themselves."""

from __future__ import annotations

from botocore.paginate import Paginator
from botocore.waiter import WaiterModel, create_waiter_with_client

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("paginators")
way = FAMILY.way


@way
def pages_over_plain_http(stage: Stage) -> None:
    """Pages of queues over plain HTTP."""
    list(stage.client({"endpoint_url": stage.plain.url}).get_paginator("list_queues").paginate())


@way
def pages_of_another_operation_over_plain_http(stage: Stage) -> None:
    """Pages of the sources of dead letters over plain HTTP, as one result."""
    client = stage.client({"endpoint_url": stage.plain.url})
    pages = client.get_paginator("list_dead_letter_source_queues").paginate(QueueUrl=stage.good)
    pages.build_full_result()


@way
def paginator_from_before_the_guard(stage: Stage) -> None:
    """A paginator that was taken from a client before it was guarded."""
    client = stage.unprotected(endpoint_url=stage.plain.url)
    paginator = client.get_paginator("list_queues")
    stage.protect(client)
    list(paginator.paginate())


@way
def paginator_around_receive(stage: Stage) -> None:
    """A paginator of the program's own that receives from a bad queue."""
    client = stage.client()
    model = client.meta.service_model.operation_model("ReceiveMessage")
    settings = {"input_token": "MaxNumberOfMessages", "output_token": "None", "result_key": "Messages"}
    list(Paginator(client.receive_message, settings, model).paginate(QueueUrl=stage.bad))


@way
def endpoint_that_changes_between_pages(stage: Stage) -> None:
    """Pages between which the client is turned to plain HTTP."""
    client = stage.client()
    for number in range(2):
        stage.queue(f"page-{number}")
    pages = client.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
    for _ in pages:
        client._resolve_endpoint_ruleset = lambda *_, **__: (stage.plain.url, {}, {})


@way
def waiter_that_receives(stage: Stage) -> None:
    """A waiter of the program's own that receives from a bad queue."""
    model = {
        "version": 2,
        "waiters": {
            "MessageThere": {
                "operation": "ReceiveMessage",
                "delay": 0,
                "maxAttempts": 1,
                "acceptors": [{"matcher": "status", "expected": 200, "state": "success"}],
            }
        },
    }
    create_waiter_with_client("MessageThere", WaiterModel(model), stage.client()).wait(QueueUrl=stage.bad)
