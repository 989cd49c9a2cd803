"""A Celery application as its operators run it: the broker, the queue and the record come from the environment."""

import os

from celery import Celery

QUEUE = "tasks"

app = Celery("celery_app")  # the broker's URL is Celery's own variable, CELERY_BROKER_URL
app.conf.update(
    task_default_queue=os.environ.get("TASK_QUEUE_NAME", QUEUE),
    broker_transport_options={"wait_time_seconds": 1, "polling_interval": 0.1},
    broker_connection_retry_on_startup=False,
    worker_prefetch_multiplier=int(os.environ.get("TASK_PREFETCH", "4")),
    task_ignore_result=True,
)
if "TASK_QUEUE_URL" in os.environ:
    app.conf.broker_transport_options["predefined_queues"] = {QUEUE: {"url": os.environ["TASK_QUEUE_URL"]}}
if "TASK_CREATE_UNENCRYPTED" in os.environ:
    app.conf.broker_transport_options["sqs-creation-attributes"] = {"SqsManagedSseEnabled": "false"}


@app.task
def note(text: str) -> None:
    """Write a line into the record, together with the process that does."""
    record(f"{text} {os.getpid()}")


@app.task
def pass_on(text: str) -> None:
    """Send another task, from within the process of the pool."""
    note.delay(text)


@app.task
def prove_sending(text: str) -> None:
    """Send another task, and write down how that ended."""
    try:
        note.delay(text)
    except Exception as error:
        record(f"{type(error).__name__} {os.getpid()}")
        raise


def record(line: str) -> None:
    """Append a line at once, so that the processes of a pool do not mix theirs."""
    file = os.open(os.environ["TASK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)
