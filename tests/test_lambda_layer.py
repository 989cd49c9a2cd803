"""The Lambda layer: what is in it, and functions that run with it, in Lambda's own runtime client where that is."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import inspect
import json
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from lambda_runtime import sandbox, unpack
from support import REGION, TEMPORARY, ManualClock

import safe_sqs
from safe_sqs import Config, ConfigError, RefusedError, UnverifiableError, events, lambda_layer, process_wide
from safe_sqs.demo import emulator as emulators
from safe_sqs.judge import judge_queue
from safe_sqs.lambda_layer import bootstrap, build, event_source, guarded
from safe_sqs.lambda_layer.event_source import EventSources
from safe_sqs.model import Facts, Queue

ACCOUNT = "123456789012"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "")

in_the_runtime = pytest.mark.skipif(
    importlib.util.find_spec("awslambdaric") is None or not MACHINE or sys.platform != "linux",
    reason="the runtime client awslambdaric is not installed, or not for this machine",
)


# --- the zip -----------------------------------------------------------------------------------------------------


def run_build(*arguments: str) -> int:
    """Build with a command line; skips where pip finds no index."""
    try:
        return build.main(arguments)
    except build.BuildError as error:  # pragma: no cover
        pytest.skip(str(error))


def built(folder: Path, **order: Any) -> build.Layer:
    """The layer for this machine."""
    try:
        return build.build(build.Order(HERE, MACHINE or "x86_64", **order), folder)
    except build.BuildError as error:
        if "pip cannot fetch" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> build.Layer:
    return built(tmp_path_factory.mktemp("layer"))


@pytest.fixture(scope="session")
def opt(layer: build.Layer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer, unpacked."""
    return unpack(layer.path, tmp_path_factory.mktemp("opt"))


@pytest.fixture
def own_opt(opt: Path, tmp_path: Path) -> Path:
    """The same for a test that adds to it."""
    return Path(shutil.copytree(opt, tmp_path / "opt"))


def names_in(layer: build.Layer) -> set[str]:
    with zipfile.ZipFile(layer.path) as archive:
        return set(archive.namelist())


def test_the_layer_has_the_guard_and_what_it_needs_under_python_and_the_wrapper_at_its_root(layer):
    names = names_in(layer)
    top = {name.split("/")[1].split("-")[0] for name in names if name.startswith("python/")}
    more = {"tomli", "typing_extensions.py", "typing_extensions", "__pycache__"} if HERE == "3.10" else set()
    assert top == {"safe_sqs", "structlog", "wrapt"} | more
    assert {name for name in names if not name.startswith("python/")} == {"safe-sqs-wrapper"}
    assert any("/wrapt/_wrappers.cpython-" in name for name in names)
    for package in ("safe_sqs", "structlog", "wrapt"):
        assert any(name.startswith(f"python/{package}-") and name.endswith(".dist-info/METADATA") for name in names)


def test_the_layer_has_nothing_of_the_machine_it_was_built_on_and_nothing_a_function_never_uses(layer):
    names = names_in(layer)
    unwanted = ("RECORD", "INSTALLER", "direct_url.json", ".pyi", "py.typed", "entry_points.txt", "build.py", ".yaml")
    assert not [name for name in names if name.endswith(unwanted)]
    assert not [name for name in names if name.startswith(("python/safe_sqs/demo", "python/safe_sqs/cli"))]
    with zipfile.ZipFile(layer.path) as archive:
        for name in names:
            assert str(Path.home()).encode() not in archive.read(name), name
            assert os.fsencode(Path(safe_sqs.__file__).parents[1]) not in archive.read(name), name


def test_every_source_has_a_compiled_file_that_is_taken_without_a_look_at_the_source(layer):
    names = names_in(layer)
    with zipfile.ZipFile(layer.path) as archive:
        for name in names:
            if name.endswith(".py"):
                folder, _, module = name.rpartition("/")
                compiled = archive.read(f"{folder}/__pycache__/{module[:-3]}.{sys.implementation.cache_tag}.pyc")
                assert compiled[:4] == importlib.util.MAGIC_NUMBER
                assert compiled[4:8] == b"\x01\0\0\0"


def test_the_modes_and_times_in_the_layer_are_fixed(layer):
    with zipfile.ZipFile(layer.path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    for entry in entries:
        executable = entry.filename == "safe-sqs-wrapper" or entry.filename.endswith(".so")
        assert stat.filemode(entry.external_attr >> 16) == ("-rwxr-xr-x" if executable else "-rw-r--r--")
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_two_builds_are_the_same_bytes(layer, tmp_path):
    again = built(tmp_path)
    assert again.path.read_bytes() == layer.path.read_bytes()
    assert again.sha256 == layer.sha256 == hashlib.sha256(layer.path.read_bytes()).hexdigest()


def test_the_layer_is_smaller_than_a_mebibyte(layer):
    assert layer.size == layer.path.stat().st_size < 2**20


def test_the_command_prints_where_the_layer_is_its_size_and_its_hash(layer, tmp_path, capsys):
    assert run_build("--python", HERE, "--architecture", MACHINE or "x86_64", "--output", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / layer.path.name) in said
    assert f"{layer.size:,} bytes" in said
    assert layer.sha256 in said


def test_the_other_architecture_gets_its_own_compiled_library(tmp_path, layer):
    other = {"x86_64": "arm64"}.get(MACHINE, "x86_64")
    assert run_build("--architecture", other, "--sources-only", "--output", str(tmp_path)) == 0
    (path,) = tmp_path.iterdir()
    with zipfile.ZipFile(path) as archive:
        (library,) = [name for name in archive.namelist() if name.endswith(".so")]
        assert {"arm64": "aarch64", "x86_64": "x86_64"}[other] in library
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--python", "3.9"], "there is no layer for Python 3.9; choose one of 3.10, 3.11"),
        (["--architecture", "aarch64"], "there is no architecture 'aarch64'; choose x86_64 or arm64"),
        (["--organisation", "nowhere.toml"], "there is no organisation file 'nowhere.toml'"),
    ],
)
def test_a_layer_that_cannot_be_is_refused_with_the_reason(arguments, problem, capsys):
    assert build.main(arguments) == 2
    assert problem in capsys.readouterr().err


def test_a_wrong_organisation_file_is_found_when_the_layer_is_built(tmp_path, capsys):
    file = tmp_path / "organisation.toml"
    file.write_text('profil = "strict"', encoding="utf-8")
    assert build.main(["--organisation", str(file)]) == 2
    assert "profil (file" in capsys.readouterr().err


def test_a_missing_interpreter_is_named_with_the_way_to_do_without(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    other = "3.12" if HERE != "3.12" else "3.13"
    assert build.main(["--python", other]) == 2
    said = capsys.readouterr().err
    assert f"python{other} is needed" in said
    assert "--sources-only" in said


def test_a_missing_index_is_told_without_a_traceback(tmp_path, capsys, monkeypatch):
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert build.main(["--output", str(tmp_path)]) == 2
    assert "pip cannot fetch what the layer carries" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# --- the wrapper -------------------------------------------------------------------------------------------------

SHOW = 'import json, os; print(json.dumps({name: os.environ.get(name) for name in ("_HANDLER", "SAFE_SQS_HANDLER")}))'
WRAPPER = Path(build.__file__).parent / "safe-sqs-wrapper"


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"_HANDLER": "app.handler"}, "app.handler"),
        ({"_HANDLER": "folder/app.handler"}, "folder/app.handler"),
        ({"_HANDLER": "a b$c.handler"}, "a b$c.handler"),
        ({"_HANDLER": "app.handler", "SAFE_SQS_HANDLER": "left.over"}, "app.handler"),
        ({"_HANDLER": "safe_sqs.lambda_layer.handler", "SAFE_SQS_HANDLER": "app.handler"}, "app.handler"),
        ({"_HANDLER": "safe_sqs/lambda_layer.handler", "SAFE_SQS_HANDLER": "app.handler"}, "app.handler"),
        ({}, ""),
    ],
)
def test_the_wrapper_names_our_handler_and_keeps_that_of_the_function(before, after, times):
    command = [*["sh", str(WRAPPER)] * times, sys.executable, "-c", SHOW]
    environment = {"PATH": os.environ["PATH"], **before}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout)
    assert shown["_HANDLER"].replace("/", ".") == "safe_sqs.lambda_layer.handler"
    assert shown["SAFE_SQS_HANDLER"] == after


# --- functions in the runtime client -----------------------------------------------------------------------------

SENDS = """
import boto3

client = boto3.client("sqs")


def handler(event, context):
    return client.send_message(QueueUrl=event["queue"], MessageBody="hello")["MessageId"]
"""
OURS = "safe_sqs.lambda_layer.handler"


class Road(NamedTuple):
    """A way to put the guard to a function."""

    handler: str = "app.handler"
    wrappers: int = 0
    own: str = ""
    code: str = SENDS


_DECORATED = SENDS.replace("def handler", "@guarded\ndef handler").replace(
    "client = boto", "from safe_sqs.lambda_layer import guarded\n\nclient = None and boto"
)
_DECORATED = _DECORATED.replace("    return client", '    return boto3.client("sqs")')
ROADS = {
    "wrapper": Road(wrappers=1),
    "wrapper twice": Road(wrappers=2),
    "redirect": Road(OURS, own="app.handler"),
    "redirect with a slash": Road("safe_sqs/lambda_layer.handler", own="app.handler"),
    "redirect behind the wrapper": Road(OURS, wrappers=1, own="app.handler"),
    "decorator": Road(code=_DECORATED),
    "decorator behind the wrapper": Road(wrappers=1, code=_DECORATED),
}


@pytest.fixture
def settings(emulator: emulators.Emulator) -> dict[str, str]:
    """The environment of a function whose Amazon SQS is the emulator."""
    return {
        "AWS_ENDPOINT_URL_SQS": emulator.url,
        "AWS_CA_BUNDLE": emulator.authority,
        "SAFE_SQS_MODES": "tls-only-policy=off",
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
    }


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Path]:
    """A folder with the code of a function."""

    def make(code: str, folder: str = "task") -> Path:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        (path / "app.py").write_text(code, encoding="utf-8")
        return path

    return make


def wrapped(task: Path, opt: Path, settings: dict[str, str], handler: str = "app.handler") -> Any:
    return sandbox(task, opt, handler, settings, wrappers=1)


def bare(task: Path, opt: Path, settings: dict[str, str], handler: str = "app.handler") -> Any:
    return sandbox(task, opt, handler, settings)


@in_the_runtime
@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
def test_a_handler_works_at_a_good_queue_and_is_refused_at_an_unencrypted_one(
    road, opt, task, settings, good, bad, raw
):
    own = {"SAFE_SQS_HANDLER": road.own} if road.own else {}
    with sandbox(task(road.code), opt, road.handler, {**settings, **own}, wrappers=road.wrappers) as function:
        assert function.invoke({"queue": good}).result
        outcome = function.invoke({"queue": bad})
        assert function.invoke({"queue": good}).result
    assert outcome.error is not None
    assert outcome.error["errorType"] == "RefusedError"
    assert "queue-encryption (enforce)" in outcome.error["errorMessage"]
    assert 'app.py", line' in outcome.error["stackTrace"][0]
    count = raw.get_queue_attributes(QueueUrl=bad, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert count == {"ApproximateNumberOfMessages": "0"}


@in_the_runtime
def test_without_the_layer_the_same_handler_sends_to_both(opt, task, settings, good, bad):
    with bare(task(SENDS), opt, settings) as function:
        assert function.invoke({"queue": good}).result
        assert function.invoke({"queue": bad}).result


BROKEN = {
    "a module that is not there": ("import nowhere_at_all\n", "app.handler"),
    "an import that fails further down": ("from json import nothing_of_this_name\n", "app.handler"),
    "a handler module that is not there": ("", "nope.handler"),
    "a handler in a folder that is not there": ("", "folder/nope.handler"),
    "a syntax error": ("def handler(:\n", "app.handler"),
    "no such handler": ("x = 1\n", "app.handler"),
    "a bad handler name": ("", "handler"),
    "a module of the interpreter": ("", "sys.exit"),
    "an error of its own": ("class Sad(Exception):\n    pass\n\nraise Sad('so sad')\n", "app.handler"),
    "a name that is not there": ("import os\nos.no_such_name\n", "app.handler"),
    "an error in a function": ("def f():\n    return {}['key']\n\nf()\n", "app.handler"),
}


@in_the_runtime
@pytest.mark.parametrize(("code", "handler"), BROKEN.values(), ids=BROKEN)
def test_errors_at_the_start_are_word_for_word_those_without_the_layer(code, handler, opt, task):
    with bare(task(code), opt, {}, handler) as function:
        expected = function.init_error()
    with wrapped(task(code), opt, {}, handler) as function:
        assert function.init_error() == expected
    with sandbox(task(code), opt, OURS, {"SAFE_SQS_HANDLER": handler}) as function:
        assert function.init_error() == expected


FAILS = """
class Sad(Exception):
    pass


def handler(event, context):
    raise Sad("so sad")
"""


@in_the_runtime
@pytest.mark.parametrize("code", [FAILS, "handler = None", "def handler(e, c): return {1}"])
def test_errors_of_an_invocation_are_word_for_word_those_without_the_layer(code, opt, task):
    with bare(task(code), opt, {}) as function:
        expected = function.invoke({"Records": []}).error
    assert expected is not None
    with wrapped(task(code), opt, {}) as function:
        assert function.invoke({"Records": []}).error == expected


@in_the_runtime
def test_a_handler_that_does_not_take_an_event_is_told_in_the_same_words(opt, task):
    code = "def handler(event):\n    pass\n"
    with bare(task(code), opt, {}) as function:
        expected = function.invoke({}).error
    with wrapped(task(code), opt, {}) as function:
        found = function.invoke({}).error
    assert expected is not None
    assert found is not None
    assert (found["errorType"], found["errorMessage"]) == (expected["errorType"], expected["errorMessage"])


@in_the_runtime
def test_a_wrong_configuration_fails_the_start_with_its_reason(opt, task, settings):
    with wrapped(task(SENDS), opt, {**settings, "SAFE_SQS_PROFILE": "strickt"}) as function:
        error = function.init_error()
    assert error["errorType"] == "ConfigError"
    assert "profile (environment variable SAFE_SQS_PROFILE): 'strickt' is none of" in error["errorMessage"]


@in_the_runtime
@pytest.mark.parametrize("own", ["", OURS, "safe_sqs/lambda_layer.handler"])
def test_a_redirect_to_nowhere_or_to_itself_fails_the_start_with_its_reason(own, opt, task):
    with sandbox(task(SENDS), opt, OURS, {"SAFE_SQS_HANDLER": own}) as function:
        error = function.init_error()
    assert error["errorType"] == "ConfigError"
    assert "SAFE_SQS_HANDLER (environment): has to name the function's own handler" in error["errorMessage"]


@in_the_runtime
def test_a_guard_that_cannot_be_loaded_fails_the_start(own_opt, task):
    (own_opt / "python/safe_sqs/process_wide.py").write_text("raise OSError('disk on fire')", encoding="utf-8")
    shutil.rmtree(own_opt / "python/safe_sqs/__pycache__")
    with wrapped(task(SENDS), own_opt, {}) as function:
        assert function.init_error()["errorMessage"] == "disk on fire"


LOOKS = """
import os
import other_layer


def handler(event, context):
    return [os.environ["_HANDLER"], os.environ.get("PYTHONPATH"), other_layer.__file__]
"""


@in_the_runtime
@pytest.mark.parametrize("path", ["unset", "set"])
def test_other_layers_and_the_environment_come_through_untouched(path, own_opt, task):
    elsewhere = own_opt / ("python" if path == "unset" else "elsewhere")
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "other_layer.py").touch()
    own = {"PYTHONPATH": f"{elsewhere}:{own_opt}/python"} if path == "set" else {}
    with bare(task(LOOKS), own_opt, own) as function:
        expected = function.invoke().result
    assert expected is not None
    assert str(elsewhere) in expected[2]
    with wrapped(task(LOOKS), own_opt, own) as function:
        assert function.invoke().result == expected


@in_the_runtime
def test_the_guard_that_runs_is_that_of_the_layer(opt, task):
    code = (
        "import sys\ndef handler(e, c): return [sys.modules[n].__file__ for n in ('safe_sqs', 'safe_sqs.process_wide')]"
    )
    with wrapped(task(code), opt, {}) as function:
        for file in function.invoke().result:
            assert file.startswith(str(opt))


@in_the_runtime
def test_a_function_without_boto3_loads_neither_that_nor_what_it_needs(opt, task):
    code = "import sys\ndef handler(e, c): return sorted({n.split('.')[0] for n in sys.modules})"
    with bare(task(code), opt, {}) as function:
        before = set(function.invoke().result)
    with wrapped(task(code), opt, {}) as function:
        added = set(function.invoke().result) - before
    assert added - sys.stdlib_module_names - {"_compat_pickle"} == {"safe_sqs"}


@in_the_runtime
def test_an_organisation_file_in_the_layer_locks_the_floor(tmp_path, task, settings, emulator, bad):
    floor = tmp_path / "organisation.toml"
    floor.write_text(f'profile = "baseline"\ntrusted_endpoint_hosts = ["{emulator.host}"]\n', encoding="utf-8")
    opt = unpack(built(tmp_path / "built", organisation=floor).path, tmp_path / "opt")
    del settings["SAFE_SQS_MODES"]  # which is looser
    assert (opt / "safe-sqs/organisation.toml").read_text(encoding="utf-8") == floor.read_text(encoding="utf-8")
    with wrapped(task(SENDS), opt, settings) as function:
        outcome = function.invoke({"queue": bad})
    assert outcome.error is not None
    assert outcome.error["errorType"] == "RefusedError"
    with wrapped(task(SENDS), opt, {**settings, "SAFE_SQS_PROFILE": "observe"}) as function:
        error = function.init_error()
    assert error["errorType"] == "ConfigError"
    assert "which the organisation locks" in error["errorMessage"]


@in_the_runtime
def test_a_sandbox_that_was_frozen_for_longer_than_the_ttl_looks_again(opt, task, settings, emulator, good):
    with wrapped(task(SENDS), opt, {**settings, "SAFE_SQS_TTL_SECONDS": "2"}) as function:
        assert function.invoke({"queue": good}).result
        first = emulator.arrived["GetQueueAttributes"]
        assert function.invoke({"queue": good}).result
        assert emulator.arrived["GetQueueAttributes"] == first
        function.freeze(2.1)
        assert function.invoke({"queue": good}).result
        assert emulator.arrived["GetQueueAttributes"] == first + 1


def test_a_verdict_ends_by_the_wall_clock_when_the_monotonic_one_stood_still(make_client, manual_clock, emulator, good):
    client = make_client(clock=manual_clock.clock)
    client.send_message(QueueUrl=good, MessageBody="before")
    before = emulator.arrived["GetQueueAttributes"]
    manual_clock.wall_seconds += 301
    client.send_message(QueueUrl=good, MessageBody="after")
    assert emulator.arrived["GetQueueAttributes"] == before + 1


# --- the queue of an event ---------------------------------------------------------------------------------------


def arn_of(url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"


def event_of(*urls: str) -> dict[str, Any]:
    """An event as Lambda makes it of a batch."""
    return {
        "Records": [
            {"messageId": str(number), "body": "hello", "eventSource": "aws:sqs", "eventSourceARN": arn_of(url)}
            for number, url in enumerate(urls)
        ]
    }


ANSWERS = "def handler(event, context):\n    print('the handler ran')\n    return len(event['Records'])\n"


@in_the_runtime
def test_messages_of_a_bad_queue_are_reported_and_reach_the_handler(opt, task, settings, good, bad):
    with wrapped(task(ANSWERS), opt, settings) as function:
        assert function.invoke(event_of(good, good)).result == 2
        assert "ReceiveMessage" not in function.log
        assert function.invoke(event_of(bad, good, bad)).result == 3
        assert function.invoke(event_of(bad)).result == 1
        log = function.log
    assert log.count("ReceiveMessage would be refused by a rule that only warns") == 1
    assert "queue-encryption" in log
    assert bad in log


@in_the_runtime
def test_messages_of_a_bad_queue_are_refused_where_that_is_set(opt, task, settings, good, bad):
    with wrapped(task(ANSWERS), opt, {**settings, "SAFE_SQS_EVENT_SOURCE": "enforce"}) as function:
        assert function.invoke(event_of(good)).result == 1
        outcome = function.invoke(event_of(good, bad))
        assert function.log.count("the handler ran") == 1
    assert outcome.error is not None
    assert outcome.error["errorType"] == "RefusedError"
    assert f"safe_sqs refused ReceiveMessage on {bad}" in outcome.error["errorMessage"]


@pytest.fixture
def function_environment(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> Iterator[None]:
    """The environment of a function for this process, which is not guarded any more afterwards."""
    credentials = {name.upper(): text for name, text in TEMPORARY.items()}
    for name, text in {**settings, **credentials}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(event_source, "judge", EventSources().judge)
    monkeypatch.setattr(process_wide, "_name_unguarded_clients", lambda: None)  # the tests' own are among them
    yield
    safe_sqs.uninstall()


def warnings_in(told: list[events.Event]) -> list[events.Warned]:
    return [each for each in told if isinstance(each, events.Warned)]


def looks_in(told: list[events.Event]) -> int:
    return sum(isinstance(each, events.LookedUp) for each in told)


def answer(event: Any, context: Any = None) -> int:
    return len(event["Records"])


@pytest.mark.usefixtures("function_environment")
def test_a_queue_is_looked_at_once_however_many_events_come_from_it(good, told):
    handler = guarded(answer)
    for _ in range(3):
        assert handler(event_of(good, good), None) == 2
    assert looks_in(told) == 1
    assert not warnings_in(told)


@pytest.mark.usefixtures("function_environment")
def test_a_client_of_the_function_shares_the_verdict(good, told):
    import boto3

    handler = guarded(answer)
    client = boto3.client("sqs")
    client.send_message(QueueUrl=good, MessageBody="hello")
    handler(event_of(good), None)
    assert looks_in(told) == 1


@pytest.mark.usefixtures("function_environment")
def test_a_bad_queue_is_reported_once_in_a_ttl(bad, told, make_config):
    clock = ManualClock()
    sources = EventSources(clock.clock)
    for _ in range(3):
        sources.judge(arn_of(bad), make_config())
        clock.advance(99)
    (warned,) = warnings_in(told)
    assert (warned.operation, warned.queue) == ("ReceiveMessage", bad)
    assert {(each.rule, each.mode.value) for each in warned.findings} == {("queue-encryption", "warn")}
    clock.wall_seconds += 4
    sources.judge(arn_of(bad), make_config())
    assert len(warnings_in(told)) == 2


@pytest.mark.usefixtures("function_environment")
def test_a_bad_queue_is_refused_each_time_where_that_is_set(bad, make_config, told):
    handler = guarded(make_config(event_source="enforce"))(answer)
    for _ in range(2):
        with pytest.raises(RefusedError, match="refused ReceiveMessage on"):
            handler(event_of(bad), None)
    assert sum(isinstance(each, events.Refused) for each in told) == 2


@pytest.mark.usefixtures("function_environment")
def test_nothing_is_looked_at_when_event_source_is_off(bad, make_config, told):
    assert guarded(make_config(event_source="off"))(answer) is answer
    EventSources().judge(arn_of(bad), make_config(event_source="off"))
    assert not told


@pytest.mark.usefixtures("function_environment")
def test_what_the_function_installs_itself_decides(bad, make_config):
    handler = guarded(answer)
    safe_sqs.install(make_config(event_source="enforce"))
    with pytest.raises(RefusedError):
        handler(event_of(bad), None)


@pytest.mark.usefixtures("function_environment")
def test_a_missing_permission_is_named_and_breaks_nothing(monkeypatch, told):
    with emulators.running(unreadable={"closed"}) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", emulator.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
        monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
        handler = guarded(answer)
        for _ in range(3):
            assert handler(event_of("/closed"), None) == 1
        (warned,) = warnings_in(told)
        assert "sqs:GetQueueAttributes" in warned.findings[0].next_step
        assert emulator.arrived["GetQueueAttributes"] == 1
        with pytest.raises(UnverifiableError, match="sqs:GetQueueAttributes"):
            guarded(Config(event_source="enforce"))(answer)(event_of("/closed"), None)


@pytest.mark.usefixtures("function_environment")
def test_a_service_that_does_not_answer_costs_a_short_pause_once_and_breaks_nothing(monkeypatch, told):
    monkeypatch.setattr(event_source, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"localhost:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"https://{host}")
        monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", host)
        handler = guarded(answer)
        for _ in range(3):
            assert handler(event_of("/orders"), None) == 1
        silent.setblocking(False)
        tried = 0
        while True:
            try:
                silent.accept()[0].close()
            except BlockingIOError:
                break
            tried += 1
    assert tried == event_source.ATTEMPTS
    assert len(warnings_in(told)) == 1


@pytest.mark.usefixtures("function_environment")
@pytest.mark.parametrize(
    "unset",
    [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_CA_BUNDLE",), ("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS",)],
    ids=["no credentials", "an unknown authority", "an unknown host"],
)
def test_no_way_to_look_at_a_queue_breaks_a_function_that_only_warns(unset, monkeypatch, good, told):
    for variable in unset:
        monkeypatch.delenv(variable)
    handler = guarded(answer)
    for _ in range(2):
        assert handler(event_of(good), None) == 1
    reports = [each for each in told if isinstance(each, events.Warned | events.Noticed)]
    assert len(reports) == 1
    with pytest.raises(Exception, match=r".+"):
        guarded(Config(event_source="enforce"))(answer)(event_of(good), None)


NAMELESS = ["", "arn:aws:sqs:us-east-1:123456789012:", "arn:aws:sqs:evil.example/:123456789012:q", 7, None]


@pytest.mark.usefixtures("function_environment")
@pytest.mark.parametrize("arn", NAMELESS)
def test_a_queue_that_is_not_named_is_reported_or_refused(arn, make_config, told):
    event = {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": arn}]}
    assert guarded(answer)(event, None) == 1
    assert [each.findings[0].rule for each in warnings_in(told)] == ["event-source"]
    with pytest.raises(UnverifiableError, match="cannot be looked at"):
        guarded(make_config(event_source="enforce"))(answer)(event, None)


@pytest.mark.parametrize(
    "event",
    [
        None,
        "text",
        7,
        {},
        {"Records": None},
        {"Records": {}},
        {"Records": ["x", None, {}]},
        {"Records": [{"eventSource": "aws:sns", "eventSourceARN": "arn:aws:sns:us-east-1:123456789012:topic"}]},
        [1, "x"],
    ],
)
def test_other_events_are_none_of_our_business(event):
    assert bootstrap.queues_of((event, None), {}) == []


@pytest.mark.parametrize("event", [event_of("/a", "/b", "/a"), event_of("/a", "/b", "/a")["Records"]])
def test_each_queue_is_found_once_in_events_of_lambda_and_of_pipes(event):
    assert bootstrap.queues_of((event,), {}) == [arn_of("/a"), arn_of("/b")]
    assert bootstrap.queues_of((), {"event": event}) == [arn_of("/a"), arn_of("/b")]


# --- the decorator -----------------------------------------------------------------------------------------------


@pytest.fixture
def uninstalled() -> Iterator[None]:
    yield
    safe_sqs.uninstall()


@pytest.mark.usefixtures("uninstalled")
def test_the_decorator_installs_the_guard_when_it_decorates():
    assert not process_wide.installed()
    guarded(answer)
    assert process_wide.installed()


@pytest.mark.usefixtures("uninstalled")
def test_a_handler_that_is_decorated_twice_is_so_once():
    once = guarded(answer)
    assert guarded(once) is once

    @wraps(once)
    def outer(event: Any, context: Any) -> Any:
        return once(event, context)

    assert guarded(outer) is outer


@pytest.mark.usefixtures("uninstalled")
def test_a_wrong_configuration_is_told_where_it_is_decorated(monkeypatch):
    monkeypatch.setenv("SAFE_SQS_PROFILE", "strickt")
    with pytest.raises(ConfigError, match="SAFE_SQS_PROFILE"):
        guarded(answer)


@pytest.mark.usefixtures("uninstalled")
def test_the_decorator_passes_through_what_a_handler_is_and_returns():
    @guarded
    def plain(event: Any, context: Any, *, more: int = 1) -> Any:
        """Say what it is for."""
        return event, context, more

    assert (plain.__name__, plain.__doc__) == ("plain", "Say what it is for.")
    assert plain({"a": 1}, context="c", more=2) == ({"a": 1}, "c", 2)

    @guarded()
    def streaming(event: Any, context: Any) -> Iterator[int]:
        yield from event

    assert list(streaming([1, 2], None)) == [1, 2]

    @guarded(None)
    async def later(event: Any, context: Any) -> Any:
        return event

    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later({"a": 1}, None)) == {"a": 1}


@pytest.mark.usefixtures("function_environment")
def test_an_asynchronous_handler_is_judged_too(bad, make_config):
    @guarded(make_config(event_source="enforce"))
    async def later(event: Any, context: Any) -> Any:
        return event

    with pytest.raises(RefusedError):
        asyncio.run(later(event_of(bad), None))


@pytest.mark.usefixtures("uninstalled")
def test_where_the_runtime_client_is_not_the_handler_is_found_all_the_same(monkeypatch, tmp_path):
    package = tmp_path / "somewhere"
    package.mkdir()
    (package / "own_app.py").write_text("def handler(event, context):\n    return 'own'\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SAFE_SQS_HANDLER", "somewhere/own_app.handler")
    monkeypatch.setenv("_HANDLER", OURS)
    monkeypatch.delitem(sys.modules, "awslambdaric.bootstrap", raising=False)
    monkeypatch.delitem(vars(lambda_layer), "handler", raising=False)
    assert lambda_layer.handler({}, None) == "own"
    assert lambda_layer.handler is lambda_layer.handler
    assert os.environ["_HANDLER"] == "somewhere/own_app.handler"
    monkeypatch.delitem(vars(lambda_layer), "handler")


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match=r"'safe_sqs\.lambda_layer' has no attribute 'handle'"):
        lambda_layer.handle  # noqa: B018


# --- infrastructure as code --------------------------------------------------------------------------------------

TEMPLATE = Path(build.__file__).parent / "template.yaml"


class _Template(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


_Template.add_multi_constructor("!", lambda loader, name, node: {name: loader.construct_scalar(node)})


def resources() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Template)["Resources"]
    return found


QUEUES = ("Incoming", "Outgoing", "Failed")


def with_values(value: Any) -> Any:
    """A part of the template as CloudFormation would fill it in."""
    if isinstance(value, list):
        return [with_values(each) for each in value]
    if isinstance(value, dict) and set(value) == {"GetAtt"}:
        queue, _, attribute = value["GetAtt"].partition(".")
        assert (queue in QUEUES, attribute) == (True, "Arn")
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
    if isinstance(value, dict):
        return {key: with_values(each) for key, each in value.items()}
    return value


def test_cfn_lint_has_nothing_to_say_about_the_template():
    pytest.importorskip("cfnlint")
    command = [
        sys.executable,
        "-c",
        "from cfnlint.runner import main; main()",
        "--regions",
        REGION,
        "--",
        str(TEMPLATE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def facts_of(name: str) -> Facts:
    """What Amazon SQS would say of a queue of the template."""
    parts = resources()
    properties = parts[name]["Properties"]
    (policy,) = [
        part["Properties"]["PolicyDocument"]
        for part in parts.values()
        if part["Type"] == "AWS::SQS::QueuePolicy" and part["Properties"]["Queues"] == [{"Ref": name}]
    ]
    return Facts(
        queue=Queue(f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}", "aws", REGION, ACCOUNT, name),
        kms_key=properties["KmsMasterKeyId"],
        policy=json.dumps(with_values(policy)),
        dead_letter=facts_of("Failed") if "RedrivePolicy" in properties else None,
    )


@pytest.mark.parametrize("name", QUEUES)
def test_the_queues_of_the_template_pass_in_the_profile_strict(name):
    facts = facts_of(name)
    # The service that polls for a function comes through nobody's endpoint, so this rule and an event source exclude
    # each other.
    config = Config(profile="strict", modes={"vpc-only-policy": "off"})
    assert judge_queue(facts, facts.queue, config, date(2030, 1, 1)).findings == ()
    assert judge_queue(facts._replace(policy=None), facts.queue, config, date(2030, 1, 1)).refusals


def test_the_function_of_the_template_is_guarded_and_its_role_may_do_no_more_than_it_needs():
    parts = resources()
    properties = parts["Function"]["Properties"]
    assert properties["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"] == f"/opt/{build.WRAPPER}"
    assert properties["Layers"] == [{"Ref": "GuardLayer"}]
    (policy,) = parts["FunctionRole"]["Properties"]["Policies"]
    granted = {
        (action, arn.rpartition(":")[2])
        for statement in with_values(policy["PolicyDocument"])["Statement"]
        for action in statement["Action"]
        for arn in statement["Resource"]
    }
    assert granted == {
        *(("sqs:GetQueueAttributes", queue) for queue in QUEUES),
        ("sqs:ReceiveMessage", "Incoming"),
        ("sqs:DeleteMessage", "Incoming"),
        ("sqs:SendMessage", "Outgoing"),
    }
