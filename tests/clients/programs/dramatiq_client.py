"""dramatiq over SQS: sends a message, or works one off in a worker of its own."""

import json
import logging
import sys
from queue import Empty, Queue

import dramatiq
from dramatiq_sqs import SQSBroker

action, queue_url = sys.argv[1:]
broker = SQSBroker()
dramatiq.set_broker(broker)
outcome: Queue[str] = Queue()


@dramatiq.actor(queue_name=queue_url.rpartition("/")[2], max_retries=0)
def keep(text: str) -> None:
    """Keep what arrived."""
    outcome.put(text)


class Trouble(logging.Handler):
    """Ends the program when dramatiq has logged an error, which it otherwise meets by trying again for ever."""

    def emit(self, record: logging.LogRecord) -> None:
        """Give up."""
        outcome.put("")


logging.basicConfig()
received = []
if action == "send":
    keep.send("hello")
else:
    logging.getLogger("dramatiq").addHandler(Trouble(logging.ERROR))
    worker = dramatiq.Worker(broker, worker_timeout=1000, worker_threads=2)
    worker.start()
    try:
        received.append(outcome.get(timeout=60))
    except Empty:
        sys.exit("nothing arrived")
    worker.stop()
    if received == [""]:
        sys.exit("dramatiq has logged an error")
print(json.dumps({"passed": True, "messages": received}))
