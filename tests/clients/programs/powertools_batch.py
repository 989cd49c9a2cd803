"""A Lambda function that works off messages with the batch utility of Powertools, and reports those that failed."""

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

worked_off: list[str] = []


def work_off(record: SQSRecord) -> None:
    """Fail for a message that says so."""
    if record.body == "bad":
        raise ValueError("a message that cannot be worked off")
    worked_off.append(record.body)


def handler(event: dict[str, Any], context: Any) -> Any:
    """For a standard queue."""
    processor = BatchProcessor(event_type=EventType.SQS)
    answer = process_partial_response(event=event, record_handler=work_off, processor=processor, context=context)
    return {**answer, "workedOff": worked_off}


def fifo_handler(event: dict[str, Any], context: Any) -> Any:
    """For a FIFO queue, which stops at the first failure."""
    processor = SqsFifoPartialProcessor()
    answer = process_partial_response(event=event, record_handler=work_off, processor=processor, context=context)
    return {**answer, "workedOff": worked_off}
