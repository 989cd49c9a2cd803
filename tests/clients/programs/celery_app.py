"""A Celery application as its operators run it: broker, queues and record come from the environment."""

import os

from celery import Celery

app = Celery("celery_app")  # the URL of the broker is Celery's own variable, CELERY_BROKER_URL
app.conf.update(
    task_default_queue=os.environ.get("TASK_QUEUE", "tasks"),
    task_ignore_result=True,
    broker_transport_options={"wait_time_seconds": 1, "polling_interval": 0.1},
    broker_connection_retry_on_startup=False,
    worker_prefetch_multiplier=8,
)
options = app.conf.broker_transport_options
if "TASK_QUEUE_URL" in os.environ:
    options["predefined_queues"] = {
        "tasks": {"url": os.environ["TASK_QUEUE_URL"]},
        "elsewhere": {"url": os.environ.get("TASK_QUEUE_URL_ELSEWHERE", os.environ["TASK_QUEUE_URL"])},
    }
if "TASK_QUEUE_SSE" in os.environ:
    options["sqs-creation-attributes"] = {"SqsManagedSseEnabled": os.environ["TASK_QUEUE_SSE"]}


@app.task
def note(text: str) -> None:
    """Write a line into the record, together with the process that does."""
    record(text)


@app.task
def pass_on(text: str, queue: str) -> None:
    """Send another task from within a process of the pool, and write down what came in its way."""
    try:
        note.apply_async((text,), queue=queue)
    except Exception as error:
        record(f"{text}:{type(error).__name__}")
        raise


def record(line: str) -> None:
    """Append a line in one step, so that the processes of a pool do not mix theirs."""
    file = os.open(os.environ["TASK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line} {os.getpid()}\n".encode())
    finally:
        os.close(file)


if "TASK_SEND_AT_IMPORT" in os.environ:  # before the worker forks its pool
    note.delay(os.environ["TASK_SEND_AT_IMPORT"])
