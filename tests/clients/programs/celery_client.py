"""Celery over SQS: sends a task, or works one off in a worker of its own."""

import json
import os
import sys

from celery import Celery
from celery.worker import state

action, queue_url = sys.argv[1:]
app = Celery("celery_client", broker=os.environ.get("CELERY_BROKER_URL", "sqs://"))
app.conf.update(
    task_default_queue="tasks",
    broker_transport_options={
        "predefined_queues": {"tasks": {"url": queue_url}},
        "wait_time_seconds": 1,
        "polling_interval": 0.1,
    },
    broker_connection_retry_on_startup=False,
    task_ignore_result=True,
    worker_redirect_stdouts=False,
)
received = []


@app.task(name="keep")
def keep(text: str) -> None:
    """Keep what arrived, and end the worker."""
    received.append(text)
    state.should_stop = os.EX_OK


if action == "send":
    keep.delay("hello")
else:
    app.worker_main(["worker", "--pool=solo", "--loglevel=info"])
    if not received:
        sys.exit("the worker has ended without a task")
print(json.dumps({"passed": True, "messages": received}))
