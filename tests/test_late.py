"""Something is done right after a module was imported: for every road of importing, and without a trace left."""

from __future__ import annotations

import importlib
import importlib.resources
import importlib.util
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from safe_sqs import late


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Write a module of this test's own: `make_module(name, text)`. What was imported is forgotten at the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before, finders = set(sys.modules), list(sys.meta_path)

    def make(name: str, text: str = "VALUE = 1\n") -> str:
        file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        importlib.invalidate_caches()
        return name

    yield make
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def hook() -> Iterator[Callable[..., Callable[[], None]]]:
    """`after_import`, ended at the end of the test."""
    ends = []

    def after_import(names: list[str], action: Callable[[types.ModuleType], None]) -> Callable[[], None]:
        ends.append(late.after_import(names, action))
        return ends[-1]

    yield after_import
    for end in ends:
        end()


def change(module: types.ModuleType) -> None:
    module.VALUE += 1


def test_the_importer_sees_what_was_done(make_module, hook):
    make_module("late_one")
    hook(["late_one"], change)
    from late_one import VALUE

    assert VALUE == 2


def test_a_submodule_is_found_as_well(make_module, hook):
    make_module("late_package.__init__", "from late_package.inner import VALUE\n")
    make_module("late_package.inner")
    hook(["late_package.inner"], change)
    assert importlib.import_module("late_package").VALUE == 2


def test_what_is_imported_already_is_done_at_once(make_module, hook):
    module = importlib.import_module(make_module("late_there"))
    hook(["late_there"], change)
    assert module.VALUE == 2


def test_nothing_is_imported_and_nothing_else_is_touched(make_module, hook):
    make_module("late_wanted")
    make_module("late_other")
    hook(["late_wanted"], change)
    assert "late_wanted" not in sys.modules
    assert importlib.import_module("late_other").VALUE == 1


def test_a_module_that_is_not_there_is_missing_as_ever(hook):
    hook(["late_nowhere"], change)
    with pytest.raises(ModuleNotFoundError, match="No module named 'late_nowhere'"):
        importlib.import_module("late_nowhere")


def test_an_import_fails_when_the_action_does_and_is_tried_anew(make_module, hook):
    seen = []

    def fail_once(module: types.ModuleType) -> None:
        seen.append(module)
        if len(seen) == 1:
            raise RuntimeError("not yet")

    make_module("late_failing")
    hook(["late_failing"], fail_once)
    with pytest.raises(RuntimeError, match="not yet"):
        importlib.import_module("late_failing")
    assert "late_failing" not in sys.modules
    assert importlib.import_module("late_failing") is seen[1]


def test_a_module_that_fails_by_itself_is_not_acted_on(make_module, hook):
    seen: list[types.ModuleType] = []
    make_module("late_broken", "raise ValueError('broken')\n")
    hook(["late_broken"], seen.append)
    with pytest.raises(ValueError, match="broken"):
        importlib.import_module("late_broken")
    assert seen == []


def test_the_module_looks_as_it_does_without(make_module, hook):
    plain = importlib.import_module(make_module("late_plain"))
    make_module("late_looks")
    hook(["late_looks"], change)
    module = importlib.import_module("late_looks")
    assert type(module.__loader__) is type(plain.__loader__)
    assert module.__spec__.loader is module.__loader__
    assert set(vars(module)) == set(vars(plain))


def test_files_beside_a_package_are_found(make_module, hook, tmp_path):
    make_module("late_files.__init__")
    (tmp_path / "late_files" / "data.txt").write_text("here")
    hook(["late_files"], change)
    importlib.import_module("late_files")
    assert importlib.resources.files("late_files").joinpath("data.txt").read_text() == "here"


def test_a_reload_is_acted_on_again(make_module, hook):
    make_module("late_again")
    hook(["late_again"], change)
    module = importlib.import_module("late_again")
    assert importlib.reload(module).VALUE == 2


def test_looking_for_a_module_does_nothing(make_module, hook):
    seen: list[types.ModuleType] = []
    make_module("late_sought")
    hook(["late_sought"], seen.append)
    assert importlib.util.find_spec("late_sought") is not None
    assert seen == []
    assert "late_sought" not in sys.modules


def test_two_actions_are_both_done(make_module, hook):
    make_module("late_twice")
    hook(["late_twice"], change)
    hook(["late_twice"], change)
    assert importlib.import_module("late_twice").VALUE == 3


@pytest.mark.parametrize("ended", [0, 1])
def test_the_end_of_one_is_not_the_end_of_the_other(make_module, hook, ended):
    make_module("late_ended")
    ends = [hook(["late_ended"], change), hook(["late_ended"], change)]
    ends[ended]()
    ends[ended]()
    assert importlib.import_module("late_ended").VALUE == 2


def test_the_end_leaves_no_trace(make_module):
    make_module("late_over")
    before = list(sys.meta_path)
    late.after_import(["late_over"], change)()
    assert sys.meta_path == before
    assert importlib.import_module("late_over").VALUE == 1


def test_what_another_finder_finds_first_is_its_own_and_what_it_finds_later_is_acted_on(make_module, hook, tmp_path):
    """A name that somebody else's finder makes up, as the AWS CLI does for botocore."""

    class Alias:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            file = tmp_path / "late_real.py"
            return importlib.util.spec_from_file_location(name, file) if name == "late_alias" else None

    make_module("late_real")
    hook(["late_alias"], change)
    sys.meta_path.insert(0, Alias())
    assert importlib.import_module("late_alias").VALUE == 1
    del sys.modules["late_alias"]
    sys.meta_path.append(sys.meta_path.pop(0))
    assert importlib.import_module("late_alias").VALUE == 2


@pytest.mark.filterwarnings("ignore::ImportWarning")  # what Python itself has to say about it, until 3.12
def test_a_finder_that_knows_no_specs_is_passed_over_as_python_does(make_module, hook):
    class Old:
        def find_module(self, name: str, path: Any = None) -> None:
            return None

    make_module("late_old")
    hook(["late_old"], change)
    sys.meta_path.insert(1, Old())
    assert importlib.import_module("late_old").VALUE == 2


def test_a_module_that_another_thread_is_importing_is_acted_on_when_it_is_complete(make_module, hook, monkeypatch):
    gate = types.ModuleType("late_gate")
    gate.began, gate.go_on = Event(), Event()
    monkeypatch.setitem(sys.modules, "late_gate", gate)
    make_module("late_slow", "import late_gate\nlate_gate.began.set()\nlate_gate.go_on.wait(30)\nVALUE = 1\n")
    importer = Thread(target=importlib.import_module, args=["late_slow"])
    importer.start()
    assert gate.began.wait(30)
    hooker = Thread(target=hook, args=[["late_slow"], change])
    hooker.start()
    gate.go_on.set()
    importer.join(30)
    hooker.join(30)
    assert sys.modules["late_slow"].VALUE == 2


def test_next_to_nothing_is_loaded_for_it():
    program = "import sys; before = set(sys.modules); import safe_sqs.late; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(eval(done.stdout)) - {"__future__"} == {"safe_sqs", "safe_sqs.late"}
