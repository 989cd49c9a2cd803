"""`safe-sqs run`: the program runs as if nothing were there, guarded with all its Python children, or not at all."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from support import TEMPORARY

import safe_sqs
from safe_sqs import launch

RUN = [sys.executable, "-E", str(Path(sys.executable).with_name("safe-sqs")), "run"]
"""`safe-sqs run` as it is installed; what PYTHONPATH says is for the program."""

ON_PATH = Path(launch.__file__).parent / "on_path"
SECONDS = 120

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a program cannot take the place of another on Windows")


@pytest.fixture(autouse=True)
def python_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python` is the interpreter of the tests, and nothing is measured in the processes that they start."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for variable in os.environ:
        if variable.startswith(("COVERAGE_", "COV_CORE_")) or variable == "PYTHONPATH":
            monkeypatch.delenv(variable)


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`safe-sqs run WORDS`, to its end."""
    return without(*RUN, *words, **more)


def without(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A program by itself, to its end."""
    return subprocess.run(list(words), capture_output=True, text=True, check=False, timeout=SECONDS, **more)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of a program: `write(name, text, is_executable=False)`."""

    def write(name: str, text: str, *, is_executable: bool = False) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if is_executable:
            file.chmod(0o755)
        return file

    return write


# --- as if it were not there -------------------------------------------------------------------------------------

TELL = """
import sys
modules, path, finders = sorted(sys.modules), list(sys.path), [type(finder).__name__ for finder in sys.meta_path]
import os, signal
print(modules, path, finders[1 if finders[0] == "Guard" else 0:])
print(sys.argv, sys.flags, sys.executable, __name__, __file__)
print(os.getcwd(), os.umask(0o77), os.getppid(), repr(sys.stdin.read()))
print([signal.getsignal(each) for each in signal.Signals])
print({name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SAFE_SQS_RUN")})
print("as a warning", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "python_path", ["", "{folder}", ":{folder}:", ":"], ids=["none", "a folder", "with empty entries", "empty entries"]
)
def test_a_python_program_finds_everything_as_without(write, monkeypatch, tmp_path, python_path):
    """Its modules above all: nothing at all is loaded early, neither botocore nor what gevent wants to patch."""
    program = str(write("tell.py", TELL))
    if python_path:
        monkeypatch.setenv("PYTHONPATH", python_path.format(folder=tmp_path))
    words = ["python", program, "two words", "'\"$HOME", "--", "-x", "", "--help"]
    expected = without(*words, input="line 1\nline 2\n")
    found = run("--", *words, input="line 1\nline 2\n")
    assert expected.returncode == 0, expected.stderr
    assert found.stdout == expected.stdout
    assert found.stderr == expected.stderr


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_program_that_is_not_python_finds_everything_as_without(monkeypatch, locale):
    for variable in ("LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", locale)
    tell = (
        "umask; ulimit -a; pwd; cat; printf '%s|' \"$@\"; exec env -u _ -u PYTHONPATH -u SAFE_SQS_RUN; "
        "grep Sig /proc/self/status"
    )
    words = ["sh", "-c", tell, "sh", "two words", "--", "*"]
    expected = without(*words, input="to be read")
    found = run(*words, input="to be read")
    assert (found.stdout, found.stderr, found.returncode) == (expected.stdout, expected.stderr, 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells signals in /proc only")
def test_no_signal_is_ignored_that_was_not_before():
    words = ["sed", "-n", "s/^SigIgn:[[:space:]]*//p", "/proc/self/status"]
    found, expected = (int(done.stdout, 16) for done in (run("--", *words), without(*words)))
    of_programs = 0x7FFFFFFF  # the signals after these are for threads, and the C library's own
    assert found & of_programs == expected & of_programs


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit(255)", 255),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_the_exit_status_is_that_of_the_program(program, status):
    assert run("--", "python", "-c", program).returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_process_is_the_program_and_signals_reach_it(number):
    program = (
        "import os, signal, sys\n"
        "signal.signal(int(sys.argv[1]), lambda *_: sys.exit(7))\n"
        "print(os.getpid(), flush=True)\n"
        "while True: signal.pause()\n"
    )
    started = subprocess.Popen([*RUN, "--", "python", "-c", program, str(int(number))], stdout=subprocess.PIPE)
    with started:
        assert started.stdout is not None
        assert int(started.stdout.readline()) == started.pid
        started.send_signal(number)
        assert started.wait(SECONDS) == 7


@pytest.mark.parametrize("text", ["own = 1", "", "raise ValueError('own')", "import nowhere", "raise SystemExit(5)"])
def test_the_sitecustomize_of_the_user_runs_as_without(write, monkeypatch, text):
    tell = "import sys\nprint(__name__, __file__, __spec__.origin, sys.modules[__name__].__spec__ is __spec__)\n"
    monkeypatch.setenv("PYTHONPATH", str(write("own/sitecustomize.py", tell + text).parent))
    look = "import sys; own = sys.modules.get('sitecustomize'); print(own, own and vars(own).keys(), sys.path)"
    expected = without("python", "-c", look)
    found = run("--", "python", "-c", look)
    assert expected.stdout.startswith("sitecustomize ")
    assert found.stdout == expected.stdout
    assert found.returncode == expected.returncode
    if "SystemExit" in text:  # Python shows all that stood around it
        assert found.stderr.splitlines()[-1] == expected.stderr.splitlines()[-1] == "SystemExit: 5"
    else:
        assert found.stderr == expected.stderr


def test_a_missing_sitecustomize_is_missing_still():
    look = "import sys; print('sitecustomize' in sys.modules); import sitecustomize"
    expected = without("python", "-c", look)  # that of Debian comes with one
    found = run("--", "python", "-c", look)
    assert found.stdout == expected.stdout
    assert found.stderr.splitlines()[-1:] == expected.stderr.splitlines()[-1:]


def test_a_sitecustomize_in_the_folder_of_the_program_is_left_alone_as_without(write):
    folder = write("sitecustomize.py", "print('run')").parent
    assert run("--", "python", str(write("app.py", "print('app')")), cwd=folder).stdout == "app\n"


def test_nothing_happens_twice_when_it_is_started_twice():
    look = (
        "import os, runpy, sys\n"
        "from pathlib import Path\n"
        "folder = os.environ['PYTHONPATH']\n"
        "runpy.run_path(str(Path(folder, 'sitecustomize.py')))\n"
        "print([type(finder).__name__ for finder in sys.meta_path].count('Guard'), folder)\n"
    )
    assert run("--", "safe-sqs", "run", "--", "python", "-c", look).stdout == f"1 {ON_PATH}\n"


def test_the_folder_on_the_path_holds_nothing_else():
    assert {file.name for file in ON_PATH.iterdir()} - {"__pycache__"} == {"sitecustomize.py"}


def test_no_start_up_line_is_installed():
    files = [str(file) for file in metadata.files("safe_sqs") or []]
    assert [file for file in files if file.endswith((".pth", ".start")) and "__editable__" not in file] == []
    assert [file for file in Path(safe_sqs.__file__).parent.rglob("*") if file.suffix in (".pth", ".start")] == []


# --- guarded -----------------------------------------------------------------------------------------------------

SEND = """
import os, sys
import boto3
for queue in os.environ["QUEUE"].split():
    boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="hello")
    print("sent", flush=True)
"""

CHILDREN = {
    "subprocess": "subprocess.run([sys.executable, 'send.py'], check=True)",
    "shell": "subprocess.run('python send.py', shell=True, check=True)",
    "exec": "os.execv(sys.executable, ['python', 'send.py'])",
    "own environment": "subprocess.run([sys.executable, 'send.py'], check=True, env={**os.environ, 'MORE': '1'})",
    "fork": (
        "pid = os.fork()\n"
        "if not pid: import send; sys.exit()\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    ),
    "spawn": "in_process('spawn')",
    "forkserver": "in_process('forkserver')",
    "pool": "import concurrent.futures as f\nwith f.ProcessPoolExecutor(1) as pool: pool.submit(work).result()",
}

PARENT = """
import multiprocessing, os, subprocess, sys

def work():
    import send

def in_process(how):
    process = multiprocessing.get_context(how).Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)

if __name__ == "__main__":
    {start}
"""


@pytest.fixture
def programs(write, emulator, monkeypatch, tmp_path) -> Path:
    """A folder with programs that send to the queue in the variable QUEUE, on the emulator, all by the environment."""
    settings = {
        "AWS_ENDPOINT_URL_SQS": emulator.url,
        "AWS_CA_BUNDLE": emulator.authority,
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
        "SAFE_SQS_MODES": "tls-only-policy=off",
        **{name.upper(): value for name, value in TEMPORARY.items()},
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    write("send.py", SEND)
    write("package/__init__.py", "")
    write("package/__main__.py", SEND)
    write("env-script", f"#!/usr/bin/env python\n{SEND}", is_executable=True)
    write("split-script", f"#!/usr/bin/env -S python -u\n{SEND}", is_executable=True)
    write("path-script", f"#!{sys.executable}\n{SEND}", is_executable=True)
    write("long-script", f"#!/bin/sh\n'''exec' {sys.executable} \"$0\" \"$@\"\n' '''\n{SEND}", is_executable=True)
    write("no-first-line", "exec python send.py\n", is_executable=True)
    for name, start in CHILDREN.items():
        write(f"by {name}.py", PARENT.format(start=start.replace("\n", "\n    ")))
    write("chdir.py", f"import os; os.chdir('/')\n{SEND}")
    write("dotenv.py", f"import os; os.environ['SAFE_SQS_PROFILE'] = 'observe'\n{SEND}")
    write("forgets.py", f"import os; del os.environ['PYTHONPATH'], os.environ['SAFE_SQS_RUN']\n{SEND}")
    write("early.py", f"import botocore.client, boto3\n{SEND}")
    write("reload.py", f"import importlib, botocore.client\nimportlib.reload(botocore.client)\n{SEND}")
    write("as_boto3.py", SEND.replace("import boto3", "import safe_sqs as boto3"))
    write("installs.py", f"import safe_sqs\nsafe_sqs.install()\n{SEND}")
    return tmp_path


ROADS = {
    "script": ["send.py"],
    "module": ["-m", "package"],
    "python script": ["--", "python", "send.py"],
    "python module": ["--", "python", "-W", "ignore", "-um", "package"],
    "python code": ["--", "python", "-X", "utf8", "-c", SEND],
    "a version of python": [
        "--",
        f"python{sys.version_info[0]}.{sys.version_info[1]}",
        "-P" if sys.version_info >= (3, 11) else "-B",
        "send.py",
    ],
    "env": ["--", "env", "MORE=1", "python", "send.py"],
    "shebang with env": ["--", "./env-script"],
    "shebang with env -S": ["--", "./split-script"],
    "shebang with a path": ["--", "./path-script"],
    "shebang for a long path": ["--", "./long-script"],
    "no shebang": ["--", "./no-first-line"],
    "shell": ["--", "sh", "-c", "python send.py"],
    **{f"child by {name}": ["--", "python", f"by {name}.py"] for name in CHILDREN},
    "working directory changed": ["chdir.py"],
    "setting changed by the program": ["dotenv.py"],
    "variables removed by the program": ["forgets.py"],
    "botocore imported before": ["early.py"],
    "botocore loaded again": ["reload.py"],
    "guarded in code as well": ["as_boto3.py"],
    "installed in code as well": ["installs.py"],
}


@pytest.mark.parametrize("road", ROADS)
def test_a_good_queue_is_used_and_a_bad_one_refused(programs, monkeypatch, good, bad, road):
    monkeypatch.setenv("QUEUE", f"{good} {bad}")
    check_good_only(run(*ROADS[road]))


def check_good_only(done: subprocess.CompletedProcess[str]) -> None:
    """A message was sent to the good queue, and none to the bad one."""
    assert done.stdout == "sent\n", done.stderr
    assert done.returncode != 0
    assert "RefusedError: safe_sqs refused SendMessage" in done.stderr
    assert "queue-encryption" in done.stderr


def test_variables_of_python_do_not_keep_it_out(programs, monkeypatch, good, bad):
    for variable in ("PYTHONSAFEPATH", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("QUEUE", f"{good} {bad}")
    check_good_only(run("--", "python", "send.py"))


def test_a_program_that_never_loads_botocore_loads_nothing_of_safe_sqs():
    look = "import asyncio, json, sys; print([name for name in sys.modules if name.startswith('safe_sqs')])"
    assert run("--", "python", "-c", look).stdout == "[]\n"


def test_what_a_launcher_puts_before_it_does_not_put_it_out(programs, write, monkeypatch, good, bad):
    """Tools for tracing start a program behind a sitecustomize of theirs, which does not run the next one."""
    write("tracer/sitecustomize.py", "import sys; sys.traced = True")
    write(
        "trace.py",
        "import os, sys\n"
        "os.environ['PYTHONPATH'] = os.pathsep.join([os.path.abspath('tracer'), os.environ['PYTHONPATH']])\n"
        "os.execlp(sys.argv[1], *sys.argv[1:])\n",
    )
    write(
        "both.py",
        "import sys\nassert sys.traced\nimport subprocess\nsys.exit(subprocess.call([sys.executable, 'traced.py']))",
    )
    write("traced.py", f"import sys\nassert sys.traced\n{SEND}")
    monkeypatch.setenv("QUEUE", f"{good} {bad}")
    for words in (["trace.py", "python", "traced.py"], ["trace.py", "python", "both.py"]):
        check_good_only(run(*words))


# --- settings ----------------------------------------------------------------------------------------------------


def test_options_are_settings_of_the_program(programs, monkeypatch, bad):
    monkeypatch.setenv("QUEUE", bad)
    warned = run("--profile", "observe", "--", "python", "send.py")
    assert (warned.stdout, warned.returncode) == ("sent\n", 0)
    assert "queue-encryption" in warned.stderr
    refused = run("--profile", "observe", "--mode", "queue-encryption=enforce", "send.py")
    assert "RefusedError" in refused.stderr
    consumer = run("--role", "consumer", "--mode", "queue-encryption=off", "-m", "package")
    assert "role-operations" in consumer.stderr
    assert consumer.returncode == 1


def test_modes_on_the_command_line_are_added_to_those_in_the_environment(monkeypatch):
    monkeypatch.setenv("SAFE_SQS_MODES", "queue-encryption=off,vpc-route=off")
    modes = ["--mode", "vpc-route=warn", "--mode", "public-access=warn"]
    told = run(*modes, "--", "printenv", "SAFE_SQS_MODES")
    assert told.stdout == "queue-encryption=off,vpc-route=off,vpc-route=warn,public-access=warn\n"


@pytest.mark.parametrize("file", ["safe-sqs.toml", "pyproject.toml", "elsewhere/own.toml"])
def test_a_file_holds_where_the_program_goes_elsewhere_before_it_is_read(programs, write, monkeypatch, bad, file):
    header = "[tool.safe-sqs]\n" if file == "pyproject.toml" else ""
    write(file, f'{header}profile = "observe"\n')
    monkeypatch.setenv("QUEUE", bad)
    options = ["--config", file] if file.startswith("elsewhere") else []
    assert run(*options, "chdir.py").stdout == "sent\n"


def test_the_report_is_where_it_was_named_from(programs, monkeypatch, bad, tmp_path):
    monkeypatch.setenv("QUEUE", bad)
    run("--report", "found.jsonl", "chdir.py")
    assert "queue-encryption" in (tmp_path / "found.jsonl").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--profile", "none"], "invalid value for '--profile': 'none' is not one of"),
        (["--role", "none"], "invalid value for '--role': 'none' is not one of"),
        (["--mode", "queue-encrypton=warn"], "modes.queue-encrypton (environment variable SAFE_SQS_MODES)"),
        (["--mode", "queue-encryption"], "modes (environment variable SAFE_SQS_MODES)"),
        (["--config", "nowhere.toml"], "SAFE_SQS_CONFIG (environment): there is no file"),
        (["--no-such-option"], "no such option"),
        (["--report", "/nowhere/report.jsonl"], "report.jsonl"),
        (["--record", "/nowhere/usage.jsonl"], "usage.jsonl"),
    ],
)
def test_a_mistake_in_the_settings_is_told_at_start(started_file, options, told):
    done = run(*options, "--", "python", "-c", started_file.program)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Install safe_sqs" not in done.stderr
    assert done.stdout == ""
    assert not started_file.path.exists()


# --- not started -------------------------------------------------------------------------------------------------


class StartedFile:
    """A program that leaves a file, which tells that it ran."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "started"
        self.program = f"open({str(self.path)!r}, 'w').close()"


@pytest.fixture
def started_file(tmp_path: Path) -> StartedFile:
    """A program, and whether it was started."""
    return StartedFile(tmp_path)


def check_is_not_started(done: subprocess.CompletedProcess[str], started_file: StartedFile, told: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("safe-sqs run: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not started_file.path.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["python", "-I"], "started with -I"),
        (["python", "-E"], "started with -E"),
        (["python", "-S"], "started with -S"),
        (["python", "-s", "-E"], "started with -E"),
        (["python", "-Wignore", "-X", "utf8", "-uI"], "started with -I"),
        (["python", "-W", "ignore", "--check-hash-based-pycs", "never", "-BE"], "started with -E"),
        ([sys.executable, "-Ib"], "started with -I"),
        (["env", "MORE=1", "python", "-I"], "started with -I"),
        (["env", "-i", "python"], "env does not hand on PYTHONPATH"),
        (["env", "-", "python"], "env does not hand on PYTHONPATH"),
        (["env", "-u", "PYTHONPATH", "python"], "env does not hand on PYTHONPATH"),
        (["env", "MORE=1", "PYTHONPATH=lib", "python"], "env sets PYTHONPATH anew"),
        (["env", "-S", "-i python"], "env does not hand on PYTHONPATH"),
        (["env", "-vS-i", "python"], "env does not hand on PYTHONPATH"),
        (["env", "--chdir", "/", "--unset=PYTHONPATH", "python"], "env does not hand on PYTHONPATH"),
        (["env", "-C", "/", "--split-string", "MORE=1 python -I"], "started with -I"),
        (["env", "--ignore-environment", "python"], "env does not hand on PYTHONPATH"),
        (["sudo", "python"], "sudo does not hand on the environment"),
        (["/usr/bin/ssh", "host", "python"], "ssh does not hand on the environment"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_program_that_the_guard_cannot_get_into_is_not_started(started_file, words, told):
    check_is_not_started(run("--", *words, "-c", started_file.program), started_file, told)


@pytest.mark.parametrize(
    "first_line",
    [
        f"#!{sys.executable} -I",
        "#!/usr/bin/env -S python -I",
        "#!/usr/bin/env -S MORE=1 python -W ignore -I",
        f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} -I \"$0\" \"$@\"\n' '''",
        "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'my python' -I \"$0\" \"$@\"\n' '''",
    ],
)
def test_a_script_whose_first_line_keeps_the_guard_out_is_not_started(write, tmp_path, started_file, first_line):
    (tmp_path / "my python").symlink_to(sys.executable)
    script = write("script", f"{first_line}\n{started_file.program}\n", is_executable=True)
    check_is_not_started(run("--", str(script)), started_file, "started with -I")
    assert without(str(script)).returncode == 0
    assert started_file.path.exists()


def test_a_script_that_is_found_on_the_path_is_looked_at_too(write, tmp_path, started_file, monkeypatch):
    write("tool", f"#!{sys.executable} -I\n{started_file.program}\n", is_executable=True)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    check_is_not_started(run("--", "tool"), started_file, "started with -I")


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python without safe_sqs, in an environment of its own."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    return str(folder / "bin" / "python")


def test_a_python_without_safe_sqs_is_not_started(started_file, bare_python):
    done = run("--", bare_python, "-c", started_file.program)
    check_is_not_started(done, started_file, "No module named 'safe_sqs'. Install safe_sqs for it")
    assert bare_python in done.stderr


@pytest.mark.parametrize("module", ["wrapt", "safe_sqs/process_wide", "safe_sqs/config"])
def test_a_broken_installation_is_told(write, started_file, bare_python, tmp_path, monkeypatch, module):
    shutil.copytree(Path(safe_sqs.__file__).parent, tmp_path / "safe_sqs")
    write(f"{module}.py", "raise RuntimeError('half an installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SAFE_SQS_PROFILE", "strict")
    done = run("--", bare_python, "-c", started_file.program)
    check_is_not_started(done, started_file, "RuntimeError: half an installation")


@pytest.mark.parametrize("name", ["python2.7", "python3.6", "python3.8", "python3.9"])
def test_a_python_that_is_too_old_is_not_started(started_file, name):
    if shutil.which(name) is None or without(name, "-c", "pass").returncode != 0:
        pytest.skip(f"{name} is not installed")
    check_is_not_started(run("--", name, "-c", started_file.program), started_file, "safe_sqs needs Python 3.10")


def test_what_runs_first_in_every_python_is_written_for_old_ones_too():
    tree = ast.parse((ON_PATH / "sitecustomize.py").read_text(), feature_version=(3, 4))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    arguments = [argument for function in functions for argument in function.args.args]
    assert functions
    assert [
        node for node in [*functions, *arguments] if getattr(node, "returns", getattr(node, "annotation", None))
    ] == []


def test_the_aws_cli_with_a_python_of_its_own_inside_is_not_started(tmp_path, started_file):
    frozen = tmp_path / "aws"
    shutil.copy(shutil.which("true") or "/bin/true", frozen)
    done = run("--", str(frozen), "sqs", "list-queues")
    check_is_not_started(done, started_file, "version 2 of the AWS CLI")
    assert "Version 1 can be guarded" in done.stderr


def test_a_python_that_gives_no_answer_is_not_started(write, started_file):
    broken = write("python3", "#!/bin/sh\necho 'no such version' >&2\nexit 9\n", is_executable=True)
    done = run("--", str(broken), "-c", started_file.program)
    check_is_not_started(done, started_file, "(exit status 9): no such version")


@pytest.mark.parametrize("words", [["python", "-V"], ["python", "-I", "--version"], ["python", "-h"]])
def test_a_python_that_only_tells_about_itself_may(words):
    assert run("--", *words).stdout == without(*words).stdout != ""


def test_a_child_that_cannot_be_guarded_gets_no_botocore_and_goes_on_without(write, bare_python):
    write("botocore/__init__.py", "")
    folder = write("botocore/client.py", "print('loaded')").parent.parent
    child = (
        f"import sys; sys.path.append({str(folder)!r})\n"
        "import json\n"
        "for _ in range(2):\n"
        "    try: import botocore.client\n"
        "    except ImportError as error: print(error)\n"
        "assert 'botocore.client' not in sys.modules\n"
    )
    done = run("--", "sh", "-c", f"{shlex.quote(bare_python)} -c {shlex.quote(child)}")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert first.startswith("safe-sqs run cannot guard this program, so it gets no botocore: ModuleNotFoundError: ")
    assert f"Install safe_sqs for {bare_python}" in first


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("no-such-command", 127, "No such file or directory"),
        ("./no-such-file", 127, "No such file or directory"),
        ("./no-such-interpreter", 127, "No such file or directory"),
        ("./plain", 126, "Permission denied"),
        ("./folder", 126, "Permission denied"),
    ],
)
def test_a_command_that_cannot_be_run_ends_as_with_env(write, tmp_path, name, status, told):
    write("plain", "")
    write("folder/file", "")
    write("no-such-interpreter", "#!/no/such/python\n", is_executable=True)
    done = run("--", name, cwd=tmp_path)
    assert done.stderr == f"safe-sqs run: {name}: {told}\n"
    assert done.returncode == status == without("env", name, cwd=tmp_path).returncode


@pytest.mark.parametrize("words", [[], ["--"], ["--profile", "strict"]])
def test_nothing_to_start_shows_how_it_is_done(words):
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    for example in ("-- python app.py", "-- -m package.module", "-- celery -A", "-- gunicorn", "-- aws sqs"):
        assert f"safe-sqs run {example}" in done.stderr or f" {example}" in done.stderr


def test_help_is_for_the_command_and_not_for_the_program():
    assert "safe-sqs run -- python app.py" in run("--help").stdout
    assert run("--", "echo", "--help", "-h", "-m", "--profile", "none").stdout == "--help -h -m --profile none\n"
    assert run("echo", "--help", "--", "-m").stdout == "--help -- -m\n"


# --- with other programs -----------------------------------------------------------------------------------------


def test_gevent_patches_before_anything_else_without_a_warning(programs, monkeypatch, good, bad):
    pytest.importorskip("gevent")
    (programs / "green.py").write_text(f"from gevent import monkey; monkey.patch_all()\n{SEND}")
    monkeypatch.setenv("QUEUE", f"{good} {bad}")
    done = run("--", "python", "-W", "error", "-W", "ignore::DeprecationWarning", "green.py")
    check_good_only(done)
    assert "Warning" not in done.stderr


WEB = """
import os
import boto3

def app(environ, start_response):
    sqs = boto3.client("sqs")
    try:
        sqs.send_message(QueueUrl=os.environ[environ["PATH_INFO"].strip("/")], MessageBody="hello")
        answer = "sent"
    except Exception as error:
        answer = type(error).__name__
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [f"{answer} {os.getpid()}".encode()]
"""


@pytest.mark.parametrize("how", [[], ["--preload"]], ids=["loaded in workers", "loaded before"])
def test_workers_of_gunicorn_are_guarded(programs, monkeypatch, good, bad, how):
    pytest.importorskip("gunicorn")
    (programs / "web.py").write_text(WEB)
    monkeypatch.setenv("GOOD", good)
    monkeypatch.setenv("BAD", bad)
    words = ["gunicorn", "--workers", "2", *how, "--bind", "unix:socket", "--log-file", "log", "web:app"]
    with subprocess.Popen([*RUN, "--", "python", "-m", *words], stderr=subprocess.DEVNULL) as server:
        try:
            answers: Mapping[str, set[str]] = {"GOOD": set(), "BAD": set()}
            for _ in range(400):
                for queue, answered in answers.items():
                    answered.add(ask(queue))
                if len(set().union(*answers.values()) - {""}) == 4:
                    break
        finally:
            server.terminate()
    assert server.returncode == 0
    workers = {answer.partition(" ")[2] for answer in answers["GOOD"]} - {""}
    assert len(workers) == 2
    assert answers["GOOD"] - {""} == {f"sent {worker}" for worker in workers}
    assert answers["BAD"] - {""} == {f"RefusedError {worker}" for worker in workers}


def ask(path: str) -> str:
    """What the server says; "" while it does not listen."""
    import socket
    import time

    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect("socket")
        except OSError:
            time.sleep(0.05)
            return ""
        door.sendall(f"GET /{path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: door.recv(1000), b"")).decode().rpartition("\r\n")[2]


@pytest.mark.parametrize("exporter", ["none", "no-such-exporter"])
@pytest.mark.parametrize("is_outside", [True, False], ids=["safe-sqs first", "safe-sqs last"])
def test_programs_under_opentelemetry_are_guarded_even_where_that_cannot_be_set_up(
    programs, monkeypatch, good, bad, exporter, is_outside
):
    pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation")
    pytest.importorskip("opentelemetry.distro")
    for kind in ("TRACES", "METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{kind}_EXPORTER", exporter)
    check_under(["opentelemetry-instrument"], is_outside, programs, monkeypatch, good, bad)


@pytest.mark.parametrize("is_outside", [True, False], ids=["safe-sqs first", "safe-sqs last"])
def test_programs_under_ddtrace_are_guarded(programs, monkeypatch, good, bad, is_outside):
    pytest.importorskip("ddtrace")
    for variable in ("DD_TRACE_ENABLED", "DD_INSTRUMENTATION_TELEMETRY_ENABLED", "DD_REMOTE_CONFIGURATION_ENABLED"):
        monkeypatch.setenv(variable, "false")
    check_under(["ddtrace-run"], is_outside, programs, monkeypatch, good, bad)


def check_under(tracer, is_outside, programs, monkeypatch, good, bad):
    """Both a program and its child."""
    name = tracer[0].partition("-")[0]
    (programs / "send.py").write_text(f"import sys\nassert {name!r} in sys.modules\n{SEND}")
    words = [*RUN, "--", *tracer] if is_outside else [*tracer, *RUN, "--"]
    monkeypatch.setenv("QUEUE", f"{good} {bad}")
    for program in ("send.py", "by subprocess.py"):
        check_good_only(without(*words, "python", program))
