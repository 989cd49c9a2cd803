"""moto's mock inside the process, in the tests of a program that knows nothing of the guard."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from clients.harness import ATTEMPTS, CLIENTS, PROGRAMS, PUBLIC, Stage, environment, run_program
from support import LONG_TERM, UNENCRYPTED

from safe_sqs import report

MOCKED = next(client for client in CLIENTS if client.is_mocked)
SUITE = PROGRAMS / "mocked_suite.py"
TESTS = 5
OWN_CREDENTIALS = {"OWN_CREDENTIALS": "yes"}
MADE_UP = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_SESSION_TOKEN": "testing"}
"""What moto's documentation has developers set, so that nothing reaches an account of theirs."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def settings(stage: Stage) -> dict[str, str]:
    """The environment of the tests of a program: temporary credentials, and an encrypted queue."""
    return environment(stage, MOCKED, ATTEMPTS[0])


@pytest.fixture
def run_suite(settings: dict[str, str], tmp_path: Path) -> Run:
    """Run the suite of tests as its developers do, under `safe-sqs run`, and report."""
    suite = tmp_path / "test_orders.py"
    suite.write_text(SUITE.read_text())
    reporting = {"SAFE_SQS_REPORT": str(tmp_path / "report.jsonl"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        command = ("python", "-m", "pytest", "-q", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", str(suite))
        return run_program(command, {**settings, **reporting, **more})

    return run


def assert_refused_by(done: subprocess.CompletedProcess[str], rule: str, folder: Path) -> None:
    assert f"{TESTS} failed" in done.stdout, done.stdout
    refused = [each for each in report.read(folder / "report.jsonl") if each.outcome == report.REFUSED]
    assert [each.rule for each in refused] == [rule] * TESTS


def test_tests_with_temporary_credentials_and_a_safe_queue_go_on_to_pass(run_suite: Run) -> None:
    done = run_suite(**OWN_CREDENTIALS)
    assert f"{TESTS} passed" in done.stdout, done.stdout


def test_the_credentials_that_moto_makes_up_are_refused_as_long_term(run_suite: Run, tmp_path: Path) -> None:
    assert_refused_by(run_suite(**MADE_UP), "static-credentials", tmp_path)


def test_with_that_one_rule_off_the_credentials_of_moto_will_do(run_suite: Run) -> None:
    done = run_suite(**MADE_UP, SAFE_SQS_MODES="static-credentials=off")
    assert f"{TESTS} passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        (UNENCRYPTED, "queue-encryption"),
        pytest.param({"Policy": PUBLIC}, "public-access", marks=pytest.mark.whole_matrix),
    ],
)
def test_a_queue_in_the_mock_is_judged_as_one_on_aws(
    run_suite: Run, tmp_path: Path, attributes: dict[str, str], rule: str
) -> None:
    done = run_suite(**OWN_CREDENTIALS, QUEUE_ATTRIBUTES=json.dumps(attributes))
    assert_refused_by(done, rule, tmp_path)


def test_observing_lets_every_test_pass_and_says_what_would_be_refused(run_suite: Run, tmp_path: Path) -> None:
    done = run_suite(**MADE_UP, SAFE_SQS_PROFILE="observe", QUEUE_ATTRIBUTES=json.dumps(UNENCRYPTED))
    assert f"{TESTS} passed" in done.stdout, done.stdout
    rules = {each.rule for each in report.read(tmp_path / "report.jsonl")}
    assert {"static-credentials", "queue-encryption"} <= rules


# --- one call ----------------------------------------------------------------------------------------------------

INSTALLED = "import safe_sqs\nsafe_sqs.install()\nimport boto3"
DROP_IN = "import safe_sqs\nimport safe_sqs as boto3"

every_face = pytest.mark.parametrize("face", [INSTALLED, DROP_IN], ids=["installed", "drop-in"])


def run_in_mock(settings: dict[str, str], face: str, calls: str) -> list[str]:
    """The words that a program prints, in which `sqs` is a client in the mock and `queue` moto's own queue."""
    program = f"""
        {textwrap.indent(face, " " * 8).strip()}
        import json, os
        from moto import mock_aws
        from moto.sqs import sqs_backends
        with mock_aws(config={{"core": {{"mock_credentials": False}}}}):
            backend = sqs_backends["123456789012"]["us-east-1"]
            queue = backend.create_queue("orders", **json.loads(os.environ["QUEUE_ATTRIBUTES"]))
            url = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
            sqs = boto3.client("sqs")
            {textwrap.indent(textwrap.dedent(calls), " " * 12).strip()}
    """
    done = run_program(("python", "-c", textwrap.dedent(program)), settings, guarded=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


SEND = """
    try:
        sqs.send_message(QueueUrl=url, MessageBody="hello")
    except safe_sqs.RefusedError as error:
        print(error.findings[0].rule)
    print(len(queue.messages))
"""

RECEIVE = """
    backend.send_message("orders", "hello")
    try:
        print(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    except safe_sqs.RefusedError as error:
        print(error.findings[0].rule)
    print(len(queue.messages))
"""


@every_face
def test_what_is_safe_arrives_in_the_mock_once(settings: dict[str, str], face: str) -> None:
    assert run_in_mock(settings, face, SEND) == ["1"]
    assert run_in_mock(settings, face, RECEIVE) == ["hello", "0"]


@every_face
def test_over_a_refused_connection_nothing_reaches_the_mock(settings: dict[str, str], face: str) -> None:
    del settings["AWS_SESSION_TOKEN"]
    settings.update({name.upper(): value for name, value in LONG_TERM.items()})
    assert run_in_mock(settings, face, SEND) == ["static-credentials", "0"]
    assert run_in_mock(settings, face, RECEIVE) == ["static-credentials", "1"]


@every_face
def test_a_refused_call_has_been_done_by_the_mock_which_answers_first(settings: dict[str, str], face: str) -> None:
    """A limit, which the guide names: within the process the mock is asked before the last handler, which is ours."""
    settings["QUEUE_ATTRIBUTES"] = json.dumps(UNENCRYPTED)
    assert run_in_mock(settings, face, SEND) == ["queue-encryption", "1"]
    assert run_in_mock(settings, face, RECEIVE) == ["queue-encryption", "0"]


@every_face
def test_a_queue_that_a_test_creates_without_encryption_is_refused_at_once(settings: dict[str, str], face: str) -> None:
    calls = """
        try:
            sqs.create_queue(QueueName="other", Attributes={"SqsManagedSseEnabled": "false"})
        except safe_sqs.RefusedError as error:
            print(error.findings[0].rule)
    """
    assert run_in_mock(settings, face, calls) == ["queue-encryption"]
