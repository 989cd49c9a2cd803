"""OpenTelemetry metrics, read back from a real meter provider while a real guarded client works."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from safe_sqs import RefusedError, UnverifiableError, otel

metrics_sdk = pytest.importorskip("opentelemetry.sdk.metrics")
export = pytest.importorskip("opentelemetry.sdk.metrics.export")


class Meter:
    """A meter provider, and what has been counted with it."""

    def __init__(self):
        self.reader = export.InMemoryMetricReader()
        self.provider = metrics_sdk.MeterProvider([self.reader])

    def counted(self, name):
        """Attribute values, in the order of their names, to the count."""
        data = self.reader.get_metrics_data()
        return {
            tuple(value for _, value in sorted(point.attributes.items())): point.value
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    def hits(self):
        return self.counted("safe_sqs.cache.hits").get(())


@pytest.fixture
def meter():
    meter = Meter()
    end = otel.instrument(meter.provider)
    yield meter
    end()
    meter.provider.shutdown()


def refuse(call, **arguments):
    with pytest.raises(RefusedError):
        call(**arguments)


def test_refusals_are_counted_by_rule_and_operation(meter, make_client, bad):
    client = make_client(role="producer")
    for _ in range(2):
        refuse(client.send_message, QueueUrl=bad, MessageBody="hello")
    refuse(client.receive_message, QueueUrl=bad)
    counted = meter.counted("safe_sqs.refusals")
    assert counted["SendMessage", "queue-encryption"] == 2
    assert counted["ReceiveMessage", "role-operations"] == 1


def test_each_finding_of_an_error_counts_for_its_rule(meter, make_client, good, emulator):
    client = make_client(
        client={"endpoint_url": f"http://localhost:{emulator.port}", "aws_access_key_id": "AKIAEXAMPLEEXAMPLE02"}
    )
    refuse(client.send_message, QueueUrl=good, MessageBody="hello")
    counted = meter.counted("safe_sqs.refusals")
    assert counted == {("SendMessage", "https-endpoint"): 1, ("SendMessage", "static-credentials"): 1}


def test_look_ups_are_counted_by_outcome(meter, make_client, good, bad):
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody="hello")
    client.send_message(QueueUrl=good, MessageBody="hello")
    refuse(client.send_message, QueueUrl=bad, MessageBody="hello")
    with pytest.raises(UnverifiableError):
        client.send_message(QueueUrl=f"{good}-deleted", MessageBody="hello")
    assert meter.counted("safe_sqs.lookups") == {("pass",): 1, ("refuse",): 1, ("unverifiable",): 1}


def test_calls_that_use_what_is_known_are_hits(meter, make_client, good):
    client = make_client()
    for _ in range(5):
        client.send_message(QueueUrl=good, MessageBody="hello")
    assert meter.hits() == 4


def test_only_hits_since_the_beginning_are_counted(make_client, good):
    client = make_client()
    for _ in range(3):
        client.send_message(QueueUrl=good, MessageBody="hello")
    meter = Meter()
    end = otel.instrument(meter.provider)
    assert meter.hits() == 0
    client.send_message(QueueUrl=good, MessageBody="hello")
    assert meter.hits() == 1
    end()
    meter.provider.shutdown()


def test_the_hits_of_a_client_that_is_gone_stay_counted(meter, make_client, good):
    client = make_client(ttl_seconds=299)
    for _ in range(3):
        client.send_message(QueueUrl=good, MessageBody="hello")
    assert meter.hits() == 2
    del client
    gc.collect()
    assert meter.hits() == 2


def test_nothing_is_counted_after_the_end(make_client, good, bad):
    meter = Meter()
    end = otel.instrument(meter.provider)
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody="hello")
    end()
    client.send_message(QueueUrl=good, MessageBody="hello")
    refuse(client.send_message, QueueUrl=bad, MessageBody="hello")
    assert meter.counted("safe_sqs.lookups") == {("pass",): 1}
    assert meter.counted("safe_sqs.refusals") == {}
    assert meter.hits() is None
    meter.provider.shutdown()


def test_without_an_sdk_nothing_happens(make_client, good):
    end = otel.instrument()
    make_client().send_message(QueueUrl=good, MessageBody="hello")
    end()


def test_a_missing_package_is_named_with_what_to_install():
    code = "import sys; sys.modules['opentelemetry'] = None; import safe_sqs.otel"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert (
        'ImportError: safe_sqs.otel needs opentelemetry-api, which is not installed: pip install "safe_sqs[otel]"'
        in (ran.stderr)
    )


def test_the_library_itself_does_not_load_opentelemetry():
    code = "import sys, safe_sqs; safe_sqs.guard; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
