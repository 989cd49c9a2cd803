"""dramatiq over SQS, as the dramatiq command runs it: namespace, dead letters and record come from the environment."""

import os

import dramatiq
from dramatiq_sqs import SQSBroker

broker = SQSBroker(
    namespace=os.environ.get("TASK_NAMESPACE"),
    dead_letter="TASK_DEAD_LETTERS" in os.environ,
)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="tasks", max_retries=0)
def note(text: str) -> None:
    """Write a line into the record, together with the process that does."""
    file = os.open(os.environ["TASK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{text} {os.getpid()}\n".encode())
    finally:
        os.close(file)


@dramatiq.actor(queue_name="tasks", max_retries=0, throws=(ZeroDivisionError,))
def fail(text: str) -> None:
    """End as a message that cannot be worked off."""
    raise ZeroDivisionError(text)
