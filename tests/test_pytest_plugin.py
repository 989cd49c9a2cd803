"""The plugin of pytest, in runs of their own: what it reports, refuses, exempts and says at the end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import REGION, TEMPORARY

from safe_sqs import report

BRING = ("-p", "safe_sqs.pytest_plugin")
"""Named in every run, so that it is there where the package is not installed, and harmless where it is."""
XDIST = ("-p", "xdist", "-n", "2")
CREDENTIALS = {name.upper(): value for name, value in TEMPORARY.items()}


class Run(NamedTuple):
    """A run of pytest: its exit code, what it printed, and the folder it ran in."""

    code: int
    output: str
    folder: Path

    @property
    def counted(self) -> str:
        """The last line, such as "1 failed, 2 passed"."""
        return re.sub(r"=+ | in [\d.]+s.*", "", self.output.strip().splitlines()[-1])

    @property
    def records(self) -> list[report.Record]:
        """What is in the report."""
        return list(report.read(self.folder / "report.jsonl"))

    def said(self) -> list[str]:
        """The lines of the summary of safe_sqs."""
        lines = self.output.splitlines()
        start = next((at for at, line in enumerate(lines) if re.match("=+ safe_sqs: ", line)), len(lines))
        end = next((at for at in range(start + 1, len(lines)) if lines[at].startswith("=")), len(lines))
        return lines[start + 1 : end]


Pytest = Callable[..., Run]


@pytest.fixture
def run(tmp_path: Path) -> Pytest:
    """Run pytest on files: `run({"test_a.py": "..."}, "--safe-sqs=observe", NAME="value of the environment")`."""

    def run(files: Mapping[str, str], *arguments: str, bring: Any = BRING, **environment: str | None) -> Run:
        for name, text in {"pytest.ini": "[pytest]\n", **files}.items():
            (tmp_path / name).write_text(text)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *bring, "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env={name: value for name, value in {**inherited, **environment}.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr, tmp_path)

    return run


@pytest.fixture
def run_on_emulator(run: Pytest, emulator: Any, good: str, bad: str) -> Pytest:
    """The same with the emulator in the place of AWS, and a good and a bad queue in the environment."""

    def run_there(files: Mapping[str, str], *arguments: str, **environment: Any) -> Run:
        settings = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_SQS": emulator.url,
            "AWS_CA_BUNDLE": emulator.authority,
            "AWS_DEFAULT_REGION": REGION,
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
            "SAFE_SQS_REPORT": "report.jsonl",
            "GOOD": good,
            "BAD": bad,
        }
        return run(files, *arguments, **{**settings, **environment})

    return run_there


SENDING = """
import os, boto3, pytest
from boto3 import client

def send(queue, sqs=None):
    (sqs or client("sqs")).send_message(QueueUrl=os.environ[queue], MessageBody="two teapots")
"""

BOTH = {
    "test_both.py": SENDING
    + """
def test_good():
    send("GOOD")

def test_bad():
    send("BAD")
"""
}


# --- the option --------------------------------------------------------------------------------------------------

LOADED = """
import sys

def test_what_is_loaded():
    names = sorted(name for name in sys.modules if name.split(".")[0] in ("safe_sqs", "boto3", "botocore",
                                                                          "structlog", "wrapt"))
    assert names == ["safe_sqs", "safe_sqs.pytest_plugin"], names
    assert "SAFE_SQS_REPORT" not in __import__("os").environ
"""


@pytest.mark.parametrize("option", [(), ("--safe-sqs=off",)], ids=["without", "off"])
def test_without_the_option_nothing_is_loaded_and_nothing_is_said(run, option):
    done = run({"test_loaded.py": LOADED}, *option)
    assert done.code == 0, done.output
    assert not re.search("safe.sqs", done.output.replace("plugins: ", "").replace(str(done.folder), ""))


def test_without_the_option_no_client_is_guarded(run_on_emulator):
    assert run_on_emulator(BOTH).counted == "2 passed"


def test_observe_lets_all_pass_and_reports_what_would_be_refused(run_on_emulator, bad):
    done = run_on_emulator(BOTH, "--safe-sqs=observe")
    assert done.counted == "2 passed"
    (record,) = [each for each in done.records if each.rule == "queue-encryption"]
    assert (record.outcome, record.queue, record.test) == ("would be refused", bad, "test_both.py::test_bad")
    assert {each.mode for each in done.records} == {"warn"}


def test_enforce_refuses_as_in_production(run_on_emulator, bad):
    done = run_on_emulator(BOTH, "--safe-sqs=enforce")
    assert done.counted == "1 failed, 1 passed"
    assert f"safe_sqs refused SendMessage on {bad}: 1 finding" in done.output
    (record,) = [each for each in done.records if each.outcome == "refused"]
    assert (record.rule, record.queue, record.test) == ("queue-encryption", bad, "test_both.py::test_bad")


def test_enforce_holds_to_the_configuration_of_the_process(run_on_emulator):
    settings = {"SAFE_SQS_MODES": "queue-encryption=warn", "SAFE_SQS_ROLE": "consumer"}
    done = run_on_emulator(BOTH, "--safe-sqs=enforce", **settings)
    assert {each.rule for each in done.records if each.outcome == "refused"} == {"role-operations"}


def test_observe_refuses_nothing_even_where_single_rules_are_set_to_enforce(run_on_emulator):
    settings = {"SAFE_SQS_PROFILE": "strict", "SAFE_SQS_MODES": "queue-encryption=enforce,vpc-route=off"}
    done = run_on_emulator(BOTH, "--safe-sqs=observe", **settings)
    assert done.counted == "2 passed"
    rules = {each.rule for each in done.records}
    assert "queue-encryption" in rules
    assert "vpc-route" not in rules


def test_the_levels_of_the_process_hold_while_observing(run_on_emulator, good):
    done = run_on_emulator(BOTH, "--safe-sqs=observe", SAFE_SQS_PROFILE="strict")
    assert ("queue-encryption", good) in {(each.rule, each.queue) for each in done.records}


def test_the_profile_local_stays_local_while_observing(run_on_emulator, good, emulator):
    done = run_on_emulator(
        BOTH,
        "--safe-sqs=observe",
        SAFE_SQS_PROFILE="local",
        SAFE_SQS_TRUSTED_ENDPOINT_HOSTS="",
        AWS_ACCESS_KEY_ID="test",
        AWS_SESSION_TOKEN="",
    )
    assert {"static-credentials", "endpoint-host"}.isdisjoint(each.rule for each in done.records)
    assert "queue-encryption" in {each.rule for each in done.records}


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [((), False), (("--safe-sqs=off",), True), (("--safe-sqs=observe",), True)],
    ids=["ini", "off", "observe"],
)
def test_the_command_line_wins_over_the_ini_file(run_on_emulator, arguments, passes):
    done = run_on_emulator({**BOTH, "pytest.ini": "[pytest]\nsafe_sqs = enforce\n"}, *arguments)
    assert (done.code == 0) is passes


@pytest.mark.parametrize(
    ("ini", "arguments"), [("", ("--safe-sqs=enforced",)), ("safe_sqs = enforced\n", ())], ids=["option", "ini"]
)
def test_a_misspelt_value_is_a_usage_error_that_names_the_choices(run, ini, arguments):
    done = run({"test_a.py": "def test(): pass", "pytest.ini": f"[pytest]\n{ini}"}, *arguments)
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert re.search("enforced.*observe.*enforce.*off", done.output)
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"SAFE_SQS_PROFILE": "strickt"}, "'strickt' is none of baseline, strict, observe, local"),
        ({"SAFE_SQS_REPORT": "missing/report.jsonl"}, "cannot be written: No such file or directory"),
        ({"SAFE_SQS_REPORT": ""}, "is empty; name a file, or unset it"),
    ],
    ids=["file", "report", "empty"],
)
@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_wrong_configuration_ends_the_run_with_its_text(run, mode, settings, text):
    done = run({"test_a.py": "def test(): pass"}, f"--safe-sqs={mode}", **settings)
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert done.output.startswith("ERROR: safe_sqs configuration: ")
    assert text in done.output
    assert "Traceback" not in done.output


def test_a_wrong_file_ends_the_run_with_its_text(run):
    done = run({"test_a.py": "", "safe-sqs.toml": 'profil = "strict"\n'}, "--safe-sqs=enforce")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "profil (file safe-sqs.toml): is not a setting; did you mean 'profile'?" in done.output


ENTRY_POINT = "safe_sqs.pytest_plugin:PLUGIN"


def test_the_package_has_the_entry_point():
    assert {each.value for each in entry_points(group="pytest11", name="safe_sqs")} == {ENTRY_POINT}


@pytest.fixture
def entry_point(tmp_path: Path) -> dict[str, str | None]:
    """An environment in which the entry point is installed."""
    metadata = tmp_path / "installed" / "entry_of_safe_sqs-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: entry-of-safe-sqs\nVersion: 1\n")
    (metadata / "RECORD").write_text("safe_sqs/__init__.py,,\nsafe_sqs/pytest_plugin.py,,\n")
    (metadata / "entry_points.txt").write_text(f"[pytest11]\nsafe_sqs = {ENTRY_POINT}\n")
    return {"PYTHONPATH": str(metadata.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": None}


@pytest.mark.parametrize("bring", [(), BRING, BRING * 2, ("-p", "safe_sqs"), ("-p", "safe_sqs", *BRING)], ids=" ".join)
def test_the_plugin_may_be_named_although_it_is_installed(run, entry_point, bring):
    done = run({"test_a.py": "def test(): pass"}, "--safe-sqs=enforce", bring=bring, **entry_point)
    assert done.counted == "1 passed", done.output
    assert "safe_sqs: enforce, nothing found" in done.output


def test_it_may_be_imported_before_pytest_where_warnings_are_errors(run, entry_point):
    files = {"test_a.py": "def test(): pass", "sitecustomize.py": "import safe_sqs"}
    path = f"{entry_point['PYTHONPATH']}{os.pathsep}{entry_point['PYTHONPATH']}/.."
    done = run(files, "-W", "error", bring=(), **{**entry_point, "PYTHONPATH": path})
    assert done.counted == "1 passed", done.output


@pytest.mark.parametrize("bring", [(), BRING], ids=" ".join)
def test_the_plugin_can_be_blocked_by_its_name(run, entry_point, bring):
    blocked = ("-p", "no:safe_sqs")
    assert run({"test_a.py": "def test(): pass"}, *blocked, bring=bring, **entry_point).counted == "1 passed"
    done = run({}, *blocked, "--safe-sqs=observe", bring=bring, **entry_point)
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --safe-sqs=observe" in done.output


def test_a_conftest_may_bring_the_plugin(run_on_emulator):
    files = {**BOTH, "conftest.py": "pytest_plugins = ['safe_sqs.pytest_plugin']"}
    done = run_on_emulator(files, "--safe-sqs=enforce")
    assert done.counted == "1 failed, 1 passed", done.output


def test_the_marker_is_registered_without_the_option_too(run):
    text = "import pytest\n@pytest.mark.safe_sqs_exempt(reason='legacy')\ndef test(): pass\n"
    assert run({"test_a.py": text}, "--strict-markers", "-W", "error").counted == "1 passed"


def test_the_guard_is_there_before_conftests_and_test_modules_make_clients(run_on_emulator):
    files = {
        "conftest.py": f"{SENDING}\nsqs = client('sqs')\n\n@pytest.fixture\ndef early():\n    return sqs\n",
        "test_early.py": SENDING + "sqs = client('sqs')\n"
        "def test_conftest(early):\n    send('BAD', early)\n\ndef test_module():\n    send('BAD', sqs)\n",
    }
    assert run_on_emulator(files, "--safe-sqs=enforce").counted == "2 failed"


EARLY = """
import boto3, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests():
    pytest.kept = boto3.client("sqs")
"""


def test_a_client_that_was_there_before_is_told(run_on_emulator):
    files = {**BOTH, "early.py": EARLY}
    done = run_on_emulator(files, "--safe-sqs=observe", "-p", "early", PYTHONPATH=".")
    assert "1 SQS client was made before safe_sqs.install(), and is not guarded" in done.output


INSIDE = """
import os
import pytest
from safe_sqs import events, process_wide

def ours():
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

def test_run():
    before = ours()
    arguments = ["-q", "-p", "safe_sqs.pytest_plugin", "-p", "no:cacheprovider", "--safe-sqs=observe", "inner.py"]
    assert pytest.main(arguments) == 0
    assert ours() == before
    assert not process_wide.installed()
    assert not events._subscriptions
"""


def test_a_run_leaves_the_process_as_it_was(run):
    done = run({"test_run.py": INSIDE, "inner.py": "def test(): pass"}, "-s")
    assert done.counted == "1 passed", done.output
    assert "safe_sqs: observe, nothing found" in done.output


# --- the summary -------------------------------------------------------------------------------------------------

MANY = {
    "test_many.py": SENDING
    + """
@pytest.mark.parametrize("number", range(5))
def test_bad(number):
    try:
        send("BAD")
    except Exception:
        pass
"""
}


def test_the_summary_counts_by_rule_and_queue_and_says_what_to_do(run_on_emulator, bad):
    done = run_on_emulator(MANY, "--safe-sqs=enforce", SAFE_SQS_MODES="tls-only-policy=off,least-privilege=off")
    assert done.counted == "5 passed"
    assert done.said() == [
        "5 refused",
        "",
        "findings  refused  rule              queue",
        f"       5        5  queue-encryption  {bad}",
        "                   in test_many.py::test_bad[0], test_many.py::test_bad[1], test_many.py::test_bad[2], "
        "and 2 more",
        f"                   next step: {done.records[0].next_step}",
        f"report: {done.folder / 'report.jsonl'}",
    ]


def test_the_summary_is_of_this_run_though_the_report_goes_on(run_on_emulator):
    first = run_on_emulator(MANY, "--safe-sqs=enforce")
    written = len(first.records)
    second = run_on_emulator(MANY, "--safe-sqs=enforce")
    assert first.said() == second.said()
    assert len(second.records) == 2 * written > 0


def test_a_report_that_nobody_asked_for_is_removed_and_not_named(run_on_emulator, tmp_path):
    (tmp_path / "temporary").mkdir()
    files = {
        "test_where.py": SENDING
        + "def test_bad():\n    send('BAD')\n    assert os.stat(os.environ['SAFE_SQS_REPORT']).st_size\n",
        "conftest.py": "import os, pathlib\nnamed = pathlib.Path('named')\n"
        "if not named.exists(): named.write_text(os.environ['SAFE_SQS_REPORT'])\n",
    }
    done = run_on_emulator(files, "--safe-sqs=observe", TMPDIR=str(tmp_path / "temporary"), SAFE_SQS_REPORT=None)
    assert done.counted == "1 passed", done.output
    assert "would be refused" in done.output
    assert "report:" not in done.output
    assert not Path((tmp_path / "named").read_text()).exists()


def test_nothing_found_is_one_line(run):
    done = run({"test_a.py": "def test(): pass"}, "--safe-sqs=enforce", "-q")
    assert [line for line in done.output.splitlines() if "safe_sqs" in line] == ["safe_sqs: enforce, nothing found"]


def test_a_report_that_holds_something_else_is_said_to(run):
    text = "import os\ndef test():\n    open(os.environ['SAFE_SQS_REPORT'], 'a').write('coffee\\n')\n"
    done = run({"test_a.py": text}, "--safe-sqs=enforce", SAFE_SQS_REPORT="report.jsonl")
    assert done.code == 0
    assert "is no finding" in "\n".join(done.said())


# --- tests that are exempt ---------------------------------------------------------------------------------------

EXEMPT = {
    "test_exempt.py": SENDING
    + """
import safe_sqs
from functools import lru_cache

module_level = client("sqs")
exempt = pytest.mark.safe_sqs_exempt(reason="until the queue is moved")
strict = safe_sqs.Config(profile="strict", modes={"vpc-route": "off", "static-credentials": "off"})

@lru_cache
def lazily():
    return boto3.client("sqs")

@pytest.fixture(scope="session")
def shared():
    return boto3.session.Session().client("sqs")

@pytest.fixture
def sent():
    send("BAD")
    yield
    send("BAD")

def refused(sqs=None):
    with pytest.raises(safe_sqs.RefusedError):
        send("BAD", sqs)

def test_before(shared):
    refused(), refused(module_level), refused(shared)

@exempt
def test_exempt(shared, sent):
    send("BAD"), send("BAD", module_level), send("BAD", shared), send("BAD", lazily())
    send("BAD", safe_sqs.client("sqs"))
    send("BAD", safe_sqs.guard(boto3.client("sqs"), strict))
    safe_sqs.guard(module_level, strict), safe_sqs.guard(module_level, strict)
    send("BAD", module_level)

def test_between(shared):
    refused(), refused(module_level), refused(shared), refused(lazily())

@exempt
def test_that_fails(shared):
    send("BAD", module_level)
    raise SystemError

def test_after(shared):
    refused(), refused(module_level), refused(shared), refused(lazily())
"""
}


def test_an_exempt_test_is_only_reported_and_no_other(run_on_emulator):
    done = run_on_emulator(EXEMPT, "--safe-sqs=enforce")
    assert done.counted == "1 failed, 4 passed", done.output
    marked = {(each.test, each.exempt) for each in done.records if each.outcome == "would be refused" and each.exempt}
    reason = "until the queue is moved"
    assert marked == {
        ("test_exempt.py::test_exempt", reason),
        ("test_exempt.py::test_that_fails", reason),
    }
    assert {each.test for each in done.records if each.outcome == "refused"} == {
        "test_exempt.py::test_before",
        "test_exempt.py::test_between",
        "test_exempt.py::test_after",
    }
    assert done.said()[-4:-1] == [
        "2 tests were exempt:",
        f"  test_exempt.py::test_exempt: {reason}",
        f"  test_exempt.py::test_that_fails: {reason}",
    ]


def test_a_client_gets_back_every_guard_that_it_was_given_in_an_exempt_test(run_on_emulator):
    more = """
def test_strict_is_back():
    with pytest.raises(safe_sqs.RefusedError) as refused:
        send("GOOD", module_level)
    assert {each.rule for each in refused.value.findings} >= {"tls-only-policy"}
"""
    files = {"test_exempt.py": EXEMPT["test_exempt.py"] + more}
    done = run_on_emulator(files, "--safe-sqs=enforce", "-k", "test_exempt or strict_is_back")
    assert "FAILED test_exempt.py::test_strict_is_back" not in done.output, done.output
    assert done.code == pytest.ExitCode.TESTS_FAILED  # test_that_fails


def test_what_an_exempt_test_saw_first_is_told_to_the_next_one_too(run_on_emulator):
    files = {
        "test_a.py": SENDING
        + """
@pytest.mark.safe_sqs_exempt(reason="legacy")
def test_one():
    send("BAD")

@pytest.mark.safe_sqs_exempt(reason="legacy")
def test_two():
    send("BAD")

def test_three():
    send("BAD")
"""
    }
    done = run_on_emulator(files, "--safe-sqs=observe")
    found = {(each.test, each.exempt) for each in done.records if each.rule == "queue-encryption"}
    assert found == {
        ("test_a.py::test_one", "legacy"),
        ("test_a.py::test_two", "legacy"),
        ("test_a.py::test_three", None),
    }


WIDER = {
    "test_wider.py": SENDING
    + """
sqs = client("sqs")

@pytest.fixture(scope="{scope}")
def wider():
    {before}
    yield
    {after}

@pytest.mark.safe_sqs_exempt(reason="legacy")
def test_exempt(wider):
    send("BAD", sqs)
"""
}


@pytest.mark.parametrize("scope", ["module", "session"])
@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        ("pass", "pass", "1 passed"),
        ("send('BAD', sqs)", "pass", "1 error"),
        ("pass", "send('BAD')", "1 passed, 1 error"),
    ],
    ids=["neither", "setup", "teardown"],
)
def test_a_fixture_of_a_wider_scope_is_not_exempt(run_on_emulator, scope, before, after, counted):
    text = WIDER["test_wider.py"].replace("{scope}", scope).replace("{before}", before).replace("{after}", after)
    assert run_on_emulator({"test_wider.py": text}, "--safe-sqs=enforce").counted == counted


@pytest.mark.parametrize(
    "marker", ["", "()", "(reason='')", "(reason=' ')", "(reason=3)", "('legacy')", "(reason='x', until='2030-01-01')"]
)
def test_an_exemption_without_a_reason_is_an_error_at_collection(run, marker):
    text = f"import pytest\n@pytest.mark.safe_sqs_exempt{marker}\ndef test_a(): pass\n\ndef test_b(): pass\n"
    done = run({"test_a.py": text})
    assert done.code == pytest.ExitCode.INTERRUPTED
    hint = 'the marker safe_sqs_exempt needs a reason: @pytest.mark.safe_sqs_exempt(reason="...")'
    assert f"test_a.py::test_a: {hint}" in done.output


def test_the_floor_of_an_organisation_forbids_exemptions(run_on_emulator, tmp_path):
    (tmp_path / "floor.toml").write_text('profile = "baseline"\n')
    files = {
        "conftest.py": "import pathlib\nfrom safe_sqs import sources\n"
        "sources.ORGANISATION_FILES = (pathlib.Path('floor.toml').absolute(),)\n",
        "test_a.py": SENDING
        + "sqs = client('sqs')\n\n@pytest.mark.safe_sqs_exempt(reason='legacy')\ndef test_exempt():\n    pass\n"
        "def test_after():\n    send('BAD', sqs)\n",
    }
    done = run_on_emulator(files, "--safe-sqs=enforce")
    assert done.counted == "1 failed, 1 error"
    assert "ConfigError: safe_sqs configuration:" in done.output
    assert "safe_sqs refused SendMessage" in done.output


# --- with others -------------------------------------------------------------------------------------------------


def test_workers_of_xdist_write_into_one_report(run_on_emulator):
    pytest.importorskip("xdist")
    files = {**MANY, "test_one.py": EXEMPT["test_exempt.py"]}
    done = run_on_emulator(files, "--safe-sqs=enforce", *XDIST, SAFE_SQS_REPORT=None)
    assert done.counted == "1 failed, 9 passed", done.output
    text = "\n".join(done.said())
    assert re.search(r"test_many.py::test_bad\[\d\], .*more", text)
    assert "2 tests were exempt:" in text
    assert "report:" not in text


def test_wrong_exemptions_are_told_by_workers_of_xdist_too(run):
    pytest.importorskip("xdist")
    text = "import pytest\n@pytest.mark.safe_sqs_exempt\ndef test_a(): pass\n"
    done = run({"test_a.py": text}, *XDIST)
    assert done.code != 0
    assert "test_a.py::test_a: the marker safe_sqs_exempt needs a reason" in done.output


CHILD = """
import subprocess, sys

PROGRAM = '''
import os, sys
import boto3, safe_sqs
os.chdir("/")
safe_sqs.install()
try:
    boto3.client("sqs").send_message(QueueUrl=os.environ["BAD"], MessageBody="two teapots")
except safe_sqs.RefusedError:
    sys.exit(3)
'''

def test_child():
    assert subprocess.run([sys.executable, "-c", PROGRAM]).returncode == 3
"""


def test_a_child_that_installs_the_guard_writes_into_the_same_report_under_the_test(run_on_emulator):
    done = run_on_emulator({"test_child.py": CHILD}, "--safe-sqs=observe")
    assert done.counted == "1 passed", done.output
    assert {(each.test, each.program) for each in done.records} == {("test_child.py::test_child", "-c")}


MOCKED = """
import boto3, pytest
from moto import mock_aws

{fixture}

@mock_aws{configured}
def test_an_order_is_sent({argument}):
    sqs = boto3.client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName="orders", Attributes={{"SqsManagedSseEnabled": "{encrypted}"}})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="two teapots")
"""
PLAIN = {"fixture": "", "configured": "", "argument": "", "encrypted": "true"}
TEMPORARY_IN_MOTO = {
    "fixture": """
@pytest.fixture
def temporary_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIATESTINGTESTING01")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
""",
    "configured": '(config={"core": {"mock_credentials": False}})',
    "argument": "temporary_credentials",
    "encrypted": "true",
}


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (PLAIN, {"static-credentials"}),
        (TEMPORARY_IN_MOTO, set()),
        ({**TEMPORARY_IN_MOTO, "encrypted": "false"}, {"queue-encryption"}),
    ],
    ids=["as it is", "temporary credentials", "not encrypted"],
)
@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_moto_in_the_process_is_judged_as_aws_and_needs_temporary_credentials(run, mode, settings, refused):
    pytest.importorskip("moto")
    files = {"test_orders.py": MOCKED.format(**settings)}
    done = run(files, f"--safe-sqs={mode}", SAFE_SQS_REPORT="report.jsonl")
    baseline = {"static-credentials", "queue-encryption", "public-access", "endpoint-host", "https-endpoint"}
    assert {each.rule for each in done.records if each.rule in baseline} == refused
    assert (done.code == 0) is (mode == "observe" or not refused), done.output


def test_a_report_can_be_read_by_the_line(run_on_emulator):
    done = run_on_emulator(BOTH, "--safe-sqs=observe")
    lines = (done.folder / "report.jsonl").read_text().splitlines()
    assert all(json.loads(line)["next_step"] for line in lines)


AIO = """
import asyncio, os, pytest, safe_sqs
from aiobotocore.session import get_session

async def send():
    async with get_session().create_client("sqs") as client:
        await client.send_message(QueueUrl=os.environ["BAD"], MessageBody="two teapots")

@pytest.mark.safe_sqs_exempt(reason="legacy")
def test_exempt():
    asyncio.run(send())

def test_after():
    with pytest.raises(safe_sqs.RefusedError):
        asyncio.run(send())
"""


def test_an_exempt_test_may_use_aiobotocore(run_on_emulator):
    pytest.importorskip("aiobotocore")
    done = run_on_emulator({"test_aio.py": AIO}, "--safe-sqs=enforce")
    assert done.counted == "2 passed", done.output
    assert ("queue-encryption", "legacy") in {(each.rule, each.exempt) for each in done.records}
