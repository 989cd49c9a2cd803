"""The main road: good passes, bad is refused."""

from __future__ import annotations

import pytest

from safe_sqs import RefusedError


def test_a_good_queue_is_used(make_client, good):
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody="hello")
    assert client.receive_message(QueueUrl=good)["Messages"][0]["Body"] == "hello"


def test_a_queue_without_encryption_is_refused(make_client, bad):
    with pytest.raises(RefusedError) as caught:
        make_client().send_message(QueueUrl=bad, MessageBody="hello")
    assert [finding.rule for finding in caught.value.findings] == ["queue-encryption"]
