"""The rooms of the package: who may import whom, who may look at a clock, and what is loaded when."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import safe_sqs

ROOMS = [
    "model",
    "errors",
    "operations",
    "patterns",
    "hosts",
    "policy",
    "rules",
    "sources",
    "floor",
    "config",
    "judge",
    "evaluation",
    "inspection",
    "controls",
    "writing",
    "formats",
    "templates",
    "facts",
    "changes",
    "cache",
    "decisions",
    "events",
    "loosened",
    "appending",
    "report",
    "usage",
    "wire",
    "guarded",
    "redirects",
    "way_out",
    "hooks",
    "async_hooks",
    "listening",
    "adapters",
    "fleet",
    "late",
    "first_use",
    "session",
    "process_wide",
    "aio",
    "otel",
    "launch",
    "lambda_layer",
    "aws_config",
    "pytest_plugin",
    "demo",
    "cli",
]
"""From the bottom to the top: each room imports only from those before it, and from its own. A new room gets a line."""

ON_TOP = ROOMS[ROOMS.index("session") :]
"""Faces and demonstrations, which may use the package as everybody does."""

CORE = ROOMS[: ROOMS.index("events")]
"""Plain data in, plain data out."""

PACKAGE = Path(safe_sqs.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages([str(PACKAGE)], prefix="safe_sqs.") if "__main__" not in module.name
)


def room_of(module: str) -> str:
    """The room of a module: the part of its name after the package's."""
    return (module.split(".") + [""])[1]


@functools.cache
def source_of(module: str) -> ast.Module:
    """What a module is written as, read once: to be looked at, not changed."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def run_by(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all that is in it, but what only a type checker reads."""
    yield node
    only_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in node.orelse if only_types else ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield from run_by(child)


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """All that a module imports when it runs: `a.b` for `import a.b`, and `a.b.c` for `from a.b import c`."""
    names: list[str] = []
    for node in run_by(source_of(module)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def rooms_imported_by(module: str) -> set[str]:
    """The rooms of the package that a module imports from, with "" for the face of the whole package."""
    own = {name for name in imports_of(module) if name.split(".")[0] == "safe_sqs"}
    return {"" if room_of(name) in safe_sqs.__all__ else room_of(name) for name in own}


def test_every_module_is_in_a_room_of_the_list():
    assert {room_of(module) for module in MODULES} <= set(ROOMS)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_from_those_below_it(module):
    room = room_of(module)
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room in ON_TOP:
        allowed |= {""}
    assert rooms_imported_by(module) <= allowed


@pytest.mark.parametrize("package", ["policy", "rules"])
def test_inside_of_a_room_imports_go_one_way_too(package):
    modules = [module for module in MODULES if module.startswith(f"safe_sqs.{package}.")]
    needs = {
        module: {other for other in modules for name in imports_of(module) if f"{name}.".startswith(f"{other}.")}
        for module in modules
    }
    while needs:
        free = {module for module, others in needs.items() if not others & set(needs)}
        assert free, f"these import each other: {sorted(needs)}"
        needs = {module: others for module, others in needs.items() if module not in free}


FOREIGN = {
    "aiobotocore",
    "boto3",
    "botocore",
    "click",
    "moto",
    "opentelemetry",
    "rich",
    "structlog",
    "urllib3",
    "wrapt",
}
CORE_MODULES = [module for module in MODULES if room_of(module) in CORE]


@pytest.mark.parametrize("module", CORE_MODULES)
def test_the_core_knows_no_other_package(module):
    imported = {name.split(".")[0] for name in imports_of(module)}
    assert imported.isdisjoint(FOREIGN)
    readers = {"tomli", "tomllib"} | ({"yaml"} if module == "safe_sqs.templates.yaml_text" else set())
    assert imported - {"safe_sqs"} - readers <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", CORE_MODULES)
def test_the_core_speaks_to_no_network_and_starts_nothing(module):
    imported = {name.split(".")[0] for name in imports_of(module)}
    assert imported.isdisjoint({"asyncio", "http", "multiprocessing", "socket", "ssl", "subprocess", "urllib.request"})


DECIDES = {"changes", "decisions", "errors", "events", "facts", "judge", "operations", "policy", "rules"}
WAITS = {"_answer", "_bring", "_place", "_run", "_sign_handler"}


def methods_of(module: str, name: str) -> set[str]:
    (kind,) = [each for each in source_of(module).body if isinstance(each, ast.ClassDef) and each.name == name]
    return {each.name for each in kind.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_adapter_to_asyncio_decides_nothing_and_only_waits_in_another_way():
    assert rooms_imported_by("safe_sqs.async_hooks").isdisjoint(DECIDES)
    replaced = methods_of("safe_sqs.hooks", "Hooks") & methods_of("safe_sqs.async_hooks", "AsyncHooks")
    assert replaced == WAITS | {"__init__"}


POLICY = [module for module in MODULES if room_of(module) == "policy"]
NEEDED_BY_POLICY = {
    "__future__",
    "base64",
    "collections",
    "datetime",
    "enum",
    "functools",
    "importlib",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "typing",
}
"""What the judge of policies takes from the standard library: nothing in here reads, writes or waits."""


@pytest.mark.parametrize("module", POLICY)
def test_the_judge_of_policies_stands_alone(module):
    imported = set(imports_of(module))
    own = {room_of(name) for name in imported if name.startswith("safe_sqs.")}
    assert own <= {"model", "operations", "patterns", "policy"}
    assert {name.split(".")[0] for name in imported} - {"safe_sqs"} <= NEEDED_BY_POLICY


@pytest.mark.parametrize("module", POLICY)
def test_the_judge_of_policies_reads_and_writes_nothing(module):
    called = {
        node.func.id
        for node in ast.walk(source_of(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called.isdisjoint({"open", "print", "input", "breakpoint", "eval", "exec", "compile", "__import__"})


ALONE = """
import types
package = types.ModuleType("safe_sqs")
package.__path__ = [{path!r}]
sys.modules["safe_sqs"] = package
from safe_sqs import policy
everyone = {{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}}
assert policy.public_access({{"Statement": everyone}}).found
"""


def test_the_judge_of_policies_works_without_the_rest_of_the_package():
    loaded = loaded_by(ALONE.format(path=str(PACKAGE)))
    assert {name.split(".")[0] for name in loaded}.isdisjoint(FOREIGN)
    rooms = {room_of(name) for name in loaded if name.startswith("safe_sqs.")}
    assert rooms == {"model", "operations", "patterns", "policy"}


CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}


def clocks_in(module: str) -> Iterator[str]:
    """Where a module reads a clock: the names of the function or class around it."""
    last = {clock.rpartition(".")[2] for clock in CLOCKS}

    def visit(node: ast.AST, place: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            place = f"{place}.{node.name}"
        if isinstance(node, ast.Attribute) and node.attr in last:
            path = ast.unparse(node)
            if any(path == clock or path.endswith(f".{clock}") for clock in CLOCKS):
                yield place
        for child in ast.iter_child_nodes(node):
            yield from visit(child, place)

    yield from visit(source_of(module), module)


def test_no_part_of_the_core_reads_a_clock_but_two():
    found = {place for module in CORE_MODULES for place in clocks_in(module)}
    assert found == {"safe_sqs.config._today", "safe_sqs.cache.Clock"}
    for module in CORE_MODULES:
        names = set(imports_of(module))
        assert names.isdisjoint({f"time.{clock.partition('.')[2]}" for clock in CLOCKS})


READS_THE_ENVIRONMENT = {"config", "sources", "launch", "lambda_layer", "pytest_plugin"}
"""The configuration, and the faces that stand at the start of a process."""


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) not in ("demo", "cli")])
def test_the_environment_is_read_in_one_place(module):
    reads = any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in ast.walk(source_of(module))
    )
    assert not reads or room_of(module) in READS_THE_ENVIRONMENT


@pytest.mark.parametrize("module", ["safe_sqs", *MODULES])
def test_every_module_says_what_it_is_for_and_what_is_public(module):
    tree = source_of(module)
    assert ast.get_docstring(tree)
    (public,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ] or [[]]
    packages = {name.rpartition(".")[0] for name in MODULES}
    assert public or module in packages
    assert len(set(public)) == len(public)


EXTRAS = {"aio": "aiobotocore", "async_hooks": "aiobotocore", "otel": "opentelemetry", "pytest_plugin": "pytest"}
"""Rooms that need what is not installed with the package itself."""


@pytest.mark.parametrize("module", ["safe_sqs", *(name for name in MODULES if room_of(name) not in ("demo", "cli"))])
def test_what_is_public_is_there(module):
    if room_of(module) in EXTRAS:
        pytest.importorskip(EXTRAS[room_of(module)])
    loaded = importlib.import_module(module)
    for name in getattr(loaded, "__all__", ()):
        assert getattr(loaded, name) is not None


def test_the_face_of_the_package_gives_the_same_as_its_rooms():
    from safe_sqs import adapters, config, errors, model

    assert safe_sqs.Config is config.Config
    assert safe_sqs.GuardError is errors.GuardError
    assert safe_sqs.guard is adapters.guard
    assert safe_sqs.Rule is model.Rule
    assert set(safe_sqs.__all__) <= set(dir(safe_sqs))


# --- what is loaded when -----------------------------------------------------------------------------------------

NEEDED_LATER = [
    "aiobotocore",
    "click",
    "moto",
    "opentelemetry",
    "rich",
    "structlog",
    "tomli",
    "tomllib",
    "trustme",
    "werkzeug",
    "wrapt",
    "yaml",
]


def loaded_by(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a program."""
    program = f"import json, sys\n{program}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


CLIENT = """
client = {face}.client("sqs", region_name="us-east-1", aws_access_key_id="ASIAEXAMPLEEXAMPLE01",
                       aws_secret_access_key="s", aws_session_token="t")
"""


@pytest.mark.parametrize("more", ["", CLIENT.format(face="safe_sqs")], ids=["import", "client"])
def test_nothing_is_loaded_that_the_first_call_does_not_need(more):
    loaded = loaded_by(f"import safe_sqs\n{more}")
    assert {name.split(".")[0] for name in loaded}.isdisjoint(NEEDED_LATER)


def test_a_client_loads_hardly_more_than_that_of_boto3():
    ours = loaded_by("import safe_sqs\n" + CLIENT.format(face="safe_sqs"))
    theirs = loaded_by("import boto3\n" + CLIENT.format(face="boto3"))
    assert {name for name in ours - theirs if not name.startswith("safe_sqs")} == set()
    assert {room_of(name) for name in ours if name.startswith("safe_sqs.")} <= {
        "session",
        "first_use",
        "guarded",
        "sources",
    }


def test_a_guarded_call_loads_no_logging_library_while_it_has_nothing_to_say():
    program = (
        "import safe_sqs\n"
        + CLIENT.format(face="safe_sqs")
        + "safe_sqs.guard(client, safe_sqs.Config(role='producer'))\n"
        + "client.generate_presigned_url('list_queues')\n"
    )
    assert {name.split(".")[0] for name in loaded_by(program)}.isdisjoint(NEEDED_LATER)
