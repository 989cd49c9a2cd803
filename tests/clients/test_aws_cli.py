"""The AWS CLI v1, which carries a botocore of its own: the `aws` command as it is installed, under `safe-sqs run`."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from clients.harness import ATTEMPTS, CLIENTS, TLS_ONLY, Stage, bin_of, environment, new_queue, run_program
from sockets import listening
from support import LONG_TERM, TEMPORARY, UNENCRYPTED

import safe_sqs

(CLI,) = (client for client in CLIENTS if client.venv == "awscli")
SITE = sorted(bin_of("awscli").parent.glob("lib/python*/site-packages"))
SECRETS = (TEMPORARY["aws_secret_access_key"], TEMPORARY["aws_session_token"])
STATUS_OF_AN_ERROR = 255

pytestmark = pytest.mark.skipif(not SITE, reason=f"make compat installs {bin_of('awscli').parent.name}")

whole_matrix = pytest.mark.whole_matrix

Aws = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def settings(stage: Stage, tmp_path: Path) -> dict[str, str]:
    """The environment of an `aws` command, with a home of its own."""
    home = {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    return {**environment(stage, CLI, ATTEMPTS[0]), **home}


@pytest.fixture
def aws(stage: Stage, settings: dict[str, str]) -> Aws:
    """`aws sqs ...` against the emulator; the last `--endpoint-url` counts."""

    def run(*words: str, guarded: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        return run_program(("aws", "--endpoint-url", stage.emulator.url, *words), {**settings, **more}, guarded=guarded)

    return run


@pytest.fixture
def safe(stage: Stage) -> str:
    """The URL of a queue about which no rule has anything to say."""
    return new_queue(stage, {"Policy": TLS_ONLY})


@pytest.fixture
def unencrypted(stage: Stage) -> str:
    """The URL of a queue without encryption."""
    return new_queue(stage, {"Policy": TLS_ONLY, **UNENCRYPTED})


def without(settings: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name not in names}


KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


# --- what is safe ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("sqs", "get-queue-attributes", "--attribute-names", "QueueArn", "VisibilityTimeout"),
        pytest.param(
            ("sqs", "get-queue-attributes", "--attribute-names", "QueueArn", "--output", "table"), marks=whole_matrix
        ),
        ("sqs", "send-message", "--message-body", "hello", "--output", "text", "--query", "MD5OfMessageBody"),
        ("sqs", "receive-message", "--query", "Messages[].Body"),
        pytest.param(("sqs", "receive-message", "--no-such-option"), marks=whole_matrix),
        pytest.param(("sqs", "receive-message", "--max-number-of-messages", "many"), marks=whole_matrix),
    ],
    ids=lambda words: " ".join(words),
)
def test_output_and_exit_status_are_those_of_the_cli_alone(aws: Aws, safe: str, words: tuple[str, ...]) -> None:
    command = (*words[:2], "--queue-url", safe, *words[2:])
    alone, guarded = aws(*command, guarded=False), aws(*command)
    assert (guarded.returncode, guarded.stdout, guarded.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_an_error_of_the_service_is_shown_as_the_cli_shows_it(aws: Aws, safe: str) -> None:
    command = ("sqs", "delete-message", "--queue-url", safe, "--receipt-handle", "none")
    alone, guarded = aws(*command, guarded=False), aws(*command)
    assert guarded.returncode == alone.returncode == STATUS_OF_AN_ERROR
    assert "ReceiptHandleIsInvalid" in guarded.stderr
    assert guarded.stderr == alone.stderr


def test_the_cli_keeps_the_botocore_that_it_carries(aws: Aws) -> None:
    assert aws("--version").stdout == aws("--version", guarded=False).stdout != ""


def test_other_services_are_left_alone(aws: Aws) -> None:
    long_term = {name.upper(): value for name, value in LONG_TERM.items()}
    done = aws("s3api", "list-buckets", "--query", "Buckets[].Name", **long_term, AWS_SESSION_TOKEN="")
    assert done.returncode == 0, done.stderr
    assert "payloads" in json.loads(done.stdout)


def test_a_process_that_supplies_temporary_credentials_is_fine(
    stage: Stage, settings: dict[str, str], safe: str, tmp_path: Path
) -> None:
    supplied = {
        "Version": 1,
        "AccessKeyId": TEMPORARY["aws_access_key_id"],
        "SecretAccessKey": TEMPORARY["aws_secret_access_key"],
        "SessionToken": TEMPORARY["aws_session_token"],
    }
    (tmp_path / "keys.json").write_text(json.dumps(supplied))
    (tmp_path / "config").write_text(f"[profile other]\ncredential_process = cat {tmp_path / 'keys.json'}\n")
    command = ("aws", "--endpoint-url", stage.emulator.url, "--profile", "other", "sqs", "send-message")
    done = run_program((*command, "--queue-url", safe, "--message-body", "hello"), without(settings, *KEYS))
    assert done.returncode == 0, done.stderr


def test_an_authority_of_ones_own_is_given_with_ca_bundle(stage: Stage, settings: dict[str, str], safe: str) -> None:
    command = ("aws", "--endpoint-url", stage.emulator.url, "sqs", "send-message")
    message = ("--queue-url", safe, "--message-body", "hello")
    nobody_known = run_program((*command, *message), without(settings, "AWS_CA_BUNDLE"))
    given = run_program(
        (*command, *message, "--ca-bundle", stage.emulator.authority), without(settings, "AWS_CA_BUNDLE")
    )
    assert nobody_known.returncode == STATUS_OF_AN_ERROR
    assert "the queue's attributes could not be read: SSLError" in nobody_known.stderr
    assert given.returncode == 0, given.stderr


# --- what is refused ---------------------------------------------------------------------------------------------


def assert_refused(done: subprocess.CompletedProcess[str], *rules: str) -> None:
    """The CLI shows a refusal as it shows an error of its own: exit status 255, nothing printed, and the text."""
    assert (done.returncode, done.stdout) == (STATUS_OF_AN_ERROR, "")
    headline, *lines = done.stderr[done.stderr.index("\nsafe_sqs ") :].strip().splitlines()
    assert " refused SendMessage on " in headline
    assert [line.split()[1] for line in lines if line.split()[0].rstrip(".").isdigit()] == [*rules]
    assert "Traceback" not in done.stderr
    assert not any(secret in done.stderr for secret in SECRETS)


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (("--endpoint-url", "PLAIN"), ("https-endpoint",)),
        pytest.param(("--endpoint-url", "http://sqs.us-east-1.amazonaws.com"), ("https-endpoint",), marks=whole_matrix),
        (("--endpoint-url", "https://localhost:1"), ("endpoint-host",)),
        (("--no-verify-ssl",), ("tls-verification",)),
        (("--no-sign-request",), ("static-credentials",)),
        (("--no-sign-request", "--no-verify-ssl", "--endpoint-url", "PLAIN"), ("https-endpoint", "static-credentials")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_that_make_a_call_unsafe_are_refused(
    stage: Stage, aws: Aws, safe: str, options: tuple[str, ...], rules: tuple[str, ...]
) -> None:
    before, connections = stage.emulator.arrived.total(), stage.plain.connections
    words = [stage.plain.url if word == "PLAIN" else word for word in options]
    done = aws("sqs", "send-message", "--queue-url", safe, "--message-body", "hello", *words)
    assert_refused(done, *rules)
    assert stage.emulator.arrived.total() == before
    assert stage.plain.connections == connections


CONFIGURED = "[{}]\naws_access_key_id = {aws_access_key_id}\naws_secret_access_key = {aws_secret_access_key}\n"


@pytest.mark.parametrize(
    ("file", "section", "words"),
    [
        pytest.param("credentials", "default", (), marks=whole_matrix),
        pytest.param("credentials", "old", ("--profile", "old"), marks=whole_matrix),
        ("config", "profile old", ("--profile", "old")),
    ],
)
def test_long_term_keys_in_the_files_of_aws_configure_are_refused(
    stage: Stage, settings: dict[str, str], safe: str, tmp_path: Path, file: str, section: str, words: tuple[str, ...]
) -> None:
    (tmp_path / file).write_text(CONFIGURED.format(section, **LONG_TERM))
    before = stage.emulator.arrived.total()
    command = ("aws", "--endpoint-url", stage.emulator.url, "sqs", "send-message", "--queue-url", safe)
    done = run_program((*command, "--message-body", "hello", *words), without(settings, *KEYS))
    assert_refused(done, "static-credentials")
    assert stage.emulator.arrived.total() == before
    assert LONG_TERM["aws_secret_access_key"] not in done.stderr


def test_keys_that_aws_configure_wrote_are_refused(stage: Stage, settings: dict[str, str], safe: str) -> None:
    settings = without(settings, *KEYS)
    for name, value in LONG_TERM.items():
        assert run_program(("aws", "configure", "set", name, value), settings).returncode == 0
    command = ("aws", "--endpoint-url", stage.emulator.url, "sqs", "send-message", "--queue-url", safe)
    assert_refused(run_program((*command, "--message-body", "hello"), settings), "static-credentials")


def test_a_program_below_a_shell_is_refused_too(stage: Stage, settings: dict[str, str], unencrypted: str) -> None:
    script = f"aws --endpoint-url {stage.emulator.url} sqs send-message --queue-url {unencrypted} --message-body hello"
    with_shell = {**settings, "PATH": f"{settings['PATH']}{os.pathsep}/bin"}
    done = run_program(("sh", "-c", f"{script}; exit $?"), with_shell)
    assert_refused(done, "queue-encryption")


def test_debug_shows_no_more_of_a_message_and_of_secrets_than_the_cli_itself_shows(
    aws: Aws, safe: str, unencrypted: str
) -> None:
    body = "the-body-of-the-message"

    def command(queue_url: str) -> tuple[str, ...]:
        return ("--debug", "sqs", "send-message", "--queue-url", queue_url, "--message-body", body)

    refused, alone = aws(*command(unencrypted)), aws(*command(safe), guarded=False)
    assert refused.returncode == STATUS_OF_AN_ERROR
    ours = [line for line in refused.stderr.splitlines() if "safe_sqs" in line or "refused" in line]
    assert len(ours) > 2
    assert not [line for line in ours if any(secret in line for secret in (*SECRETS, body))]
    assert refused.stderr.count(body) <= alone.stderr.count(body)
    assert refused.stderr.count(SECRETS[0]) == alone.stderr.count(SECRETS[0]) == 0


PLUGIN = """
def awscli_initialize(cli):
    cli.register_last("before-send", leads_astray)

def leads_astray(request, **_):
    request.url = {url!r}
"""


def test_a_plugin_of_the_cli_that_leads_requests_elsewhere_is_refused(
    stage: Stage, aws: Aws, safe: str, tmp_path: Path
) -> None:
    with listening() as elsewhere:
        (tmp_path / "astray.py").write_text(PLUGIN.format(url=f"{elsewhere.url}/"))
        (tmp_path / "config").write_text("[plugins]\nastray = astray\n")
        command = ("sqs", "send-message", "--queue-url", safe, "--message-body", "hello")
        assert aws(*command, guarded=False, PYTHONPATH=str(tmp_path)).returncode == 0
        reached = elsewhere.connections
        done = aws(*command, PYTHONPATH=str(tmp_path))
        assert reached == elsewhere.connections == 1
    assert_refused(done, "https-endpoint", "endpoint-host")


# --- which botocore it is ----------------------------------------------------------------------------------------

SEALED = """
import botocore, botocore.awsrequest, sys
import safe_sqs
from safe_sqs import way_out

def send(client, queue_url):
    client.send_message(QueueUrl=queue_url, MessageBody="hello")
    seen = []
    def change(request, **_):
        seen.append(type(request).__name__)
        request.url = "https://elsewhere.example/"
    client.meta.events.register_last("before-send", change)
    try:
        client.send_message(QueueUrl=queue_url, MessageBody="hello")
    except safe_sqs.GuardError as error:
        told = str(error)
    assert seen == ["SealedRequest"], seen
    assert told.startswith("the url of a request was changed"), told
    assert way_out.AWSPreparedRequest is botocore.awsrequest.AWSPreparedRequest
    print("/".join(botocore.__file__.split("/")[-3:]))
"""

MADE_BY_THE_CLI = """
import awscli.clidriver
client = awscli.clidriver.create_clidriver().session.create_client("sqs")
"""

OF_ITS_OWN, OF_BOTO3 = "awscli/botocore/__init__.py", "site-packages/botocore/__init__.py"


@pytest.mark.parametrize(
    ("program", "botocore"),
    [
        pytest.param(
            f"import safe_sqs\nsafe_sqs.install()\n{MADE_BY_THE_CLI}", OF_ITS_OWN, id="installed, then the CLI"
        ),
        pytest.param(
            f"import awscli\nimport safe_sqs\nsafe_sqs.install()\n{MADE_BY_THE_CLI}",
            OF_ITS_OWN,
            id="the CLI, then installed",
        ),
        pytest.param(
            f"import safe_sqs\nsafe_sqs.install()\nimport boto3\n{MADE_BY_THE_CLI}",
            OF_BOTO3,
            id="boto3, then the CLI",
            marks=whole_matrix,
        ),
        pytest.param(
            f"import safe_sqs\nsafe_sqs.install()\n{MADE_BY_THE_CLI}\nimport boto3\nclient = boto3.client('sqs')",
            OF_ITS_OWN,
            id="the CLI, then a client of boto3",
            marks=whole_matrix,
        ),
        pytest.param(
            "import safe_sqs\nsafe_sqs.install()\nimport awscli.botocore.client\nimport awscli.botocore.session\n"
            "client = awscli.botocore.session.Session().create_client('sqs')",
            OF_ITS_OWN,
            id="by its own name",
            marks=whole_matrix,
        ),
        pytest.param(
            "import safe_sqs\nfrom safe_sqs import adapters\nsafe_sqs.install()\n" + MADE_BY_THE_CLI,
            OF_BOTO3,
            id="the guard loaded before all",
        ),
    ],
)
def test_the_seal_holds_whichever_botocore_comes_first(
    settings: dict[str, str], safe: str, program: str, botocore: str
) -> None:
    done = run_program(("python", "-c", f"{program}\n{SEALED}\nsend(client, {safe!r})"), settings, guarded=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == botocore


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with all that is installed beside the CLI, but not boto3 and what it brings."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for entry in SITE[0].iterdir():
        if not entry.name.startswith(("boto3", "botocore", "s3transfer", "safe_sqs", "__editable__", "__pycache__")):
            (folder / entry.name).symlink_to(entry)
    (folder / "safe_sqs").symlink_to(Path(safe_sqs.__file__).parent)
    return folder


@pytest.mark.parametrize("install", ["safe_sqs.install()", "safe_sqs.install(safe_sqs.Config())"])
def test_where_there_is_no_other_botocore_the_guard_uses_that_of_the_cli(
    settings: dict[str, str], safe: str, unencrypted: str, alone: Path, install: str
) -> None:
    program = f"""
        import safe_sqs
        {install}
        try:
            import botocore
        except ModuleNotFoundError:
            pass
        else:
            raise AssertionError(botocore.__file__)
        {textwrap.indent(MADE_BY_THE_CLI, " " * 8).strip()}
        {textwrap.indent(SEALED, " " * 8).strip()}
        send(client, {safe!r})
        client = awscli.clidriver.create_clidriver().session.create_client("sqs")
        try:
            client.send_message(QueueUrl={unencrypted!r}, MessageBody="hello")
        except safe_sqs.RefusedError as error:
            print(error.findings[0].rule)
    """
    done = run_program(
        ("python", "-S", "-c", textwrap.dedent(program)), {**settings, "PYTHONPATH": str(alone)}, guarded=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [OF_ITS_OWN, "queue-encryption"]
