"""The release, in short: archives that are the same bytes wherever they are built, locks that fulfil setup.cfg,
advisories that are only believed when they are complete, and workflows that hold no door open. `make supply` tries all
of it.
"""

from __future__ import annotations

import base64
import copy
import csv
import gzip
import hashlib
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from supply.advisories import CANARY, Database, Release, affects, layers, understood
from supply.archives import compare, digest, digest_of_contents, entries_of, normalise
from supply.build import Built, build_in, wheel_of_tree, write_sums
from supply.locks import LOCKS, pins_of, required, unmet
from supply.processes import FailedError, environment_with, run
from supply.tree import ROOT, epoch_of, write_tree

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
EPOCH = 1_700_000_000
GENERATED = {"PKG-INFO"} | {
    f"safe_sqs.egg-info/{name}"
    for name in ("PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt", "top_level.txt")
}

needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
needs_cyclonedx = pytest.mark.skipif(not importlib.util.find_spec("cyclonedx_py"), reason="cyclonedx-bom is not there")

# --- archives ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """The files of the repository as they lie there, in a folder of their own."""
    folder = tmp_path_factory.mktemp("checkout") / "tree"
    write_tree(folder)
    return folder


@pytest.fixture(scope="module")
def built(checkout, tmp_path_factory) -> Built:
    pytest.importorskip("setuptools", "70.1")
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(checkout, folder / "tree")
    return build_in(folder / "tree", folder / "out", EPOCH)


@needs_git
def test_the_archives_are_the_same_bytes_when_they_are_built_elsewhere(checkout, built, tmp_path):
    tree = tmp_path / "elsewhere, with a long name" / "ünïcode"
    shutil.copytree(checkout, tree)
    for number, file in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(file, (10**9 + number, 10**9 + number))
        file.chmod(0o700 if file.is_dir() or file.stat().st_mode & 0o100 else 0o600)
    surroundings = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4711"}
    before = os.umask(0o077)
    try:
        again = build_in(tree, tmp_path / "out", EPOCH, env=surroundings)
    finally:
        os.umask(before)
    assert [compare(one, other) for one, other in zip(built, again, strict=True)] == ["", ""]


@needs_git
def test_the_wheel_is_the_same_bytes_whether_it_is_built_from_the_tree_or_from_the_sdist(checkout, built, tmp_path):
    shutil.copytree(checkout, tmp_path / "tree")
    assert compare(wheel_of_tree(tmp_path / "tree", tmp_path / "out", EPOCH), built.wheel) == ""


@needs_git
def test_a_changed_file_is_seen_in_both_archives(checkout, built, tmp_path):
    shutil.copytree(checkout, tmp_path / "tree")
    with (tmp_path / "tree" / "safe_sqs" / "errors.py").open("a") as file:
        file.write("# one more line\n")
    again = build_in(tmp_path / "tree", tmp_path / "out", EPOCH)
    assert "errors.py" in compare(built.wheel, again.wheel)
    assert "errors.py" in compare(built.sdist, again.sdist)
    assert digest_of_contents(built.wheel) != digest_of_contents(again.wheel)


@needs_git
def test_the_sdist_holds_the_files_of_the_repository_and_what_setuptools_adds(checkout, built):
    files = {file.relative_to(checkout).as_posix() for file in checkout.rglob("*") if file.is_file()}
    assert {entry.name.partition("/")[2] for entry in entries_of(built.sdist)} == files | GENERATED


@needs_git
def test_the_wheel_holds_the_files_of_the_package(checkout, built):
    files = {file.relative_to(checkout).as_posix() for file in (checkout / "safe_sqs").rglob("*") if file.is_file()}
    assert {entry.name for entry in entries_of(built.wheel) if ".dist-info/" not in entry.name} == files


@needs_git
def test_the_archives_say_nothing_of_when_where_and_by_whom_they_were_built(built):
    with tarfile.open(built.sdist) as packed:
        members = packed.getmembers()
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (EPOCH, 0, 0, "", "")
    }
    with gzip.open(built.sdist) as stream:
        stream.read(1)
        assert stream.mtime == EPOCH
    with zipfile.ZipFile(built.wheel) as packed:
        infos = packed.infolist()
    assert {info.date_time for info in infos} == {time.gmtime(EPOCH)[:5] + (time.gmtime(EPOCH)[5] // 2 * 2,)}
    modes = {member.mode for member in members} | {stat.S_IMODE(info.external_attr >> 16) for info in infos}
    assert modes == {0o644, 0o755}


@needs_git
def test_the_record_of_the_wheel_holds_after_it_was_packed_again(built):
    contents = {entry.name: entry.content for entry in entries_of(built.wheel)}
    (record,) = [name for name in contents if name.endswith(".dist-info/RECORD")]
    rows = list(csv.reader(contents[record].decode().splitlines()))
    assert {name for name, _, _ in rows} == set(contents)
    for name, said, size in rows:
        if name != record:
            found = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).rstrip(b"=").decode()
            assert (said, int(size)) == (f"sha256={found}", len(contents[name]))


def test_archives_that_are_only_packed_otherwise_are_told_from_those_that_differ(tmp_path):
    archives = {name: tmp_path / name for name in ("one.whl", "stored.whl", "other.whl")}
    for name, archive in archives.items():
        method = zipfile.ZIP_STORED if name == "stored.whl" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(archive, "w", method) as packed:
            packed.writestr("safe_sqs/a.py", "x" * 100)
            packed.writestr("safe_sqs/b.py", "other" if name == "other.whl" else "b")
    assert compare(archives["one.whl"], archives["stored.whl"]) == "their contents are the same, packed otherwise"
    assert compare(archives["one.whl"], archives["other.whl"]) == "they differ in safe_sqs/b.py"
    assert digest_of_contents(archives["one.whl"]) == digest_of_contents(archives["stored.whl"])
    normalise(archives["one.whl"], EPOCH)
    normalise(archives["stored.whl"], EPOCH)
    assert digest(archives["one.whl"]) == digest(archives["stored.whl"])


def test_an_archive_that_was_tampered_with_is_not_the_same(tmp_path):
    for name in ("good.whl", "bad.whl"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("safe_sqs/a.py", "x" * 100)
    content = bytearray((tmp_path / "bad.whl").read_bytes())
    content[35] ^= 1
    (tmp_path / "bad.whl").write_bytes(content)
    assert "cannot be read" in compare(tmp_path / "good.whl", tmp_path / "bad.whl")


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not there")
def test_the_file_of_hashes_can_be_checked_with_what_every_system_has(tmp_path):
    for name in ("a.whl", "b.tar.gz"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "a.whl").write_text("changed")
    assert subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, check=False, capture_output=True
    ).returncode


@needs_git
def test_the_time_of_a_release_is_that_of_its_commit():
    assert epoch_of() == int(run(["git", "show", "--no-patch", "--format=%ct", "HEAD"], cwd=ROOT))


# --- locks -------------------------------------------------------------------------------------------------------

every_lock = pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)


@every_lock
@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_fulfils_what_is_asked_of_it(lock, python):
    assert unmet(required(lock), pins_of(lock.file), python) == []


@every_lock
def test_every_pin_of_a_lock_has_hashes(lock):
    pins = pins_of(lock.file)
    assert pins
    assert all(pin.hashes for pin in pins)


@every_lock
def test_a_lock_names_the_extras_too(lock):
    text = lock.file.read_text(encoding="utf-8")
    for requirement in required(lock):
        assert not requirement.extras or f"{requirement.name}[{','.join(requirement.extras)}" in text


@every_lock
def test_a_lock_names_no_index_and_no_path(lock):
    text = lock.file.read_text(encoding="utf-8")
    assert "/" not in text
    assert set(re.findall(r"(--[a-z-]+)", text)) == {"--hash"}


@every_lock
def test_a_lock_says_the_same_as_the_one_that_it_lies_within(lock):
    if lock.within:
        around = {(pin.name, pin.version) for pin in pins_of(LOCKS[lock.within].file)}
        assert {(pin.name, pin.version) for pin in pins_of(lock.file)} <= around


def test_the_locks_cover_every_extra_that_is_not_only_fuzz():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    section = text.partition("[options.extras_require]")[2].partition("\n[")[0]
    extras = set(re.findall(r"^(\w+) =$", section, re.MULTILINE))
    assert {extra for lock in LOCKS.values() for extra in lock.extras} == extras - {"fuzz"}


def test_a_requirement_that_a_lock_does_not_fulfil_is_named():
    pins = pins_of(LOCKS["runtime"].file)
    wanted = [Requirement("boto3>=9000"), Requirement("coffee>=1"), Requirement("tea; python_version < '3.11'")]
    newest = next(pin.version for pin in pins if pin.name == "boto3")
    assert unmet(wanted, pins, "3.12") == [f"boto3>=9000 has {newest}", "coffee>=1 has None"]
    assert len(unmet(wanted, pins, "3.10")) == 3
    assert "boto3 is pinned twice" in unmet([], [*pins, pins[0]._replace(name="boto3", version="1.0")], "3.12")


@pytest.mark.parametrize(
    "line", ["boto3==1.44.8", "boto3>=1.0 --hash=sha256:" + "0" * 64, "-e .", "boto3==1.44.8 --hash=md5:1"]
)
def test_a_line_that_is_no_pin_with_hashes_is_an_error(line, tmp_path):
    (tmp_path / "lock.txt").write_text(f"{line}\n")
    with pytest.raises(FailedError, match=r"lock\.txt"):
        pins_of(tmp_path / "lock.txt")


# --- known vulnerabilities ---------------------------------------------------------------------------------------

OLD = Release("urllib3", "1.24.1")


def answer_of_pip_audit(*entries: dict[str, object]) -> str:
    return json.dumps({"dependencies": list(entries), "fixes": []})


def test_what_pip_audit_found_is_understood():
    answer = answer_of_pip_audit(
        {"name": "urllib3", "version": "1.24.1", "vulns": [{"id": "PYSEC-2019-133", "fix_versions": ["1.24.2"]}]},
        {"name": "PyYAML", "version": "6.0", "vulns": []},
    )
    assert understood(answer, [OLD, Release("pyyaml", "6.0")]) == {OLD: ["PYSEC-2019-133"], ("pyyaml", "6.0"): []}


def test_an_answer_that_skips_a_release_is_none():
    answer = answer_of_pip_audit({"name": "urllib3", "skip_reason": "Dependency not found on PyPI"})
    with pytest.raises(FailedError, match="did not judge 1 of 1 releases, the first because Dependency not found"):
        understood(answer, [OLD])


def test_an_answer_that_leaves_a_release_out_is_none():
    with pytest.raises(FailedError, match=r"no word of urllib3 1\.24\.1"):
        understood(answer_of_pip_audit(), [OLD])


def test_releases_of_one_package_are_asked_about_one_after_another():
    newer = Release("urllib3", "2.0")
    assert layers([OLD, newer, CANARY]) == [[OLD, CANARY], [newer]]


def clone_with(folder: Path, *advisories: dict[str, object]) -> Path:
    """A git repository in the form of pypa's advisory-database."""
    (folder / "vulns").mkdir(parents=True)
    for advisory in advisories:
        (folder / "vulns" / f"{advisory['id']}.yaml").write_text(yaml.safe_dump(advisory))
    for words in (["init", "--quiet"], ["add", "--all"]):
        run(["git", "-C", folder, *words])
    person = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    moment = {**os.environ, "GIT_COMMITTER_DATE": "2025-02-03T12:00:00Z"}
    run(["git", "-C", folder, *person, "commit", "--quiet", "--message", "x"], env=moment)
    return folder


def advisory(name: str, number: str, *events: dict[str, str], **more: object) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    return {"id": number, "affected": [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}], **more}


ABOUT_CANARY = advisory("Jinja2", "PYSEC-2014-8", {"introduced": "0"}, {"fixed": "2.7.2"})


def test_a_clone_of_the_database_names_what_affects_a_release_and_its_day(tmp_path):
    entries = [
        ABOUT_CANARY,
        advisory("urllib3", "PYSEC-1", {"introduced": "0"}, {"fixed": "1.24.2"}),
        advisory("urllib3", "PYSEC-2", {"introduced": "0"}, {"fixed": "9"}, withdrawn="2024-01-01T00:00:00Z"),
    ]
    database = Database(clone_with(tmp_path / "clone", *entries))
    mended = Release("urllib3", "1.24.2")
    assert database.judge([OLD, mended]) == {OLD: ["PYSEC-1"], mended: []}
    assert database.day == "2025-02-03"


def test_a_database_that_calls_everything_harmless_is_not_believed(tmp_path):
    database = Database(clone_with(tmp_path / "clone", advisory("urllib3", "PYSEC-1", {"introduced": "0"})))
    with pytest.raises(FailedError, match="not believed"):
        database.judge([OLD])


@pytest.mark.parametrize(
    ("version", "result"),
    [("0.9", False), ("1.0", True), ("1.4", True), ("1.5", False), ("2.0", True), ("2.3", True), ("2.4", False)]
    + [("7.7", True), ("7.7.post1", False)],
)
def test_a_release_is_affected_between_the_events_of_a_range_and_where_it_is_listed(version, result):
    events = [{"introduced": "2.0"}, {"last_affected": "2.3"}, {"introduced": "1.0"}, {"fixed": "1.5"}]
    part = {
        "package": {"name": "Coffee_Pot"},
        "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}, {"type": "ECOSYSTEM", "events": events}],
        "versions": ["not a version", "7.7"],
    }
    assert affects(part, Release("coffee-pot", version)) is result
    assert not affects(part, Release("kettle", version))


# --- bills of materials ------------------------------------------------------------------------------------------


@pytest.fixture
def bill_of_little(tmp_path) -> dict[str, object]:
    """A bill of an environment with nothing in it but two packages; safe_sqs was installed from a path."""
    python = environment_with(tmp_path / "environment", pip=False)
    options = ["--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON"]
    bill = json.loads(run([sys.executable, "-m", "cyclonedx_py", "environment", *options, python]))
    path = {"type": "distribution", "url": "file:///somewhere/safe_sqs.whl"}
    subject = {"bom-ref": "safe_sqs==1", "name": "safe_sqs", "version": "1", "type": "library"}
    other = {"bom-ref": "boto3==1", "name": "boto3", "version": "1", "type": "library"}
    return {**bill, "components": [other, {**subject, "externalReferences": [path]}]}


@needs_cyclonedx
def test_a_bill_describes_the_release_and_says_nothing_of_the_machine(bill_of_little, tmp_path):
    from supply.sbom import described, problem_of

    wheel = tmp_path / "safe_sqs-1-py3-none-any.whl"
    wheel.write_text("a wheel")
    bill = described(copy.deepcopy(bill_of_little), wheel, LOCKS["runtime"], EPOCH)
    assert problem_of(bill) == ""
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest(wheel)}]
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert "file:" not in json.dumps(bill)
    assert described(bill_of_little, wheel, LOCKS["runtime"], EPOCH) == bill
    del bill["components"][0]["name"]
    assert "name" in problem_of(bill)


# --- workflows ---------------------------------------------------------------------------------------------------

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)


def read(workflow: Path) -> dict[str, object]:
    return yaml.safe_load(workflow.read_text(encoding="utf-8"))


def steps_of(workflow: Path) -> list[dict[str, object]]:
    return [step for job in read(workflow)["jobs"].values() for step in job["steps"]]


@every_workflow
def test_a_workflow_may_nothing_but_what_each_job_names(workflow):
    described = read(workflow)
    assert described["permissions"] == {}
    assert all("permissions" in job for job in described["jobs"].values())
    writing = {
        (name, scope)
        for name, job in described["jobs"].items()
        for scope, may in job["permissions"].items()
        if may == "write"
    }
    assert writing <= {
        ("attest", "attestations"),
        ("attest", "id-token"),
        ("publish", "id-token"),
        ("announce", "contents"),
    }


@every_workflow
def test_no_workflow_knows_a_secret(workflow):
    assert "secrets." not in workflow.read_text(encoding="utf-8")
    assert all(
        step["with"]["persist-credentials"] is False
        for step in steps_of(workflow)
        if "checkout@" in step.get("uses", "")
    )


def test_every_action_is_pinned_by_one_commit_and_says_which_version_that_is():
    used = {
        (name, commit, version)
        for workflow in WORKFLOWS
        for name, commit, version in re.findall(r"uses: (\S+)@(\S+)(.*)$", workflow.read_text("utf-8"), re.MULTILINE)
    }
    assert len(used) >= 5
    assert len({name for name, _, _ in used}) == len(used)
    for _, commit, version in used:
        assert re.fullmatch(r"[0-9a-f]{40}", commit)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", version)


def test_the_workflows_run_targets_that_there_are():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set()
    for workflow in WORKFLOWS:
        text = workflow.read_text(encoding="utf-8")
        named |= set(re.findall(r"make PYTHON=python ([a-z]+)", text)) | set(
            re.findall(r"target: ([a-z]+)$", text, re.M)
        )
        for listed in re.findall(r"target: \[(.+)\]", text):
            named |= set(listed.split(", "))
    assert {"test", "supply", "lock"} <= named <= targets


def test_every_supported_python_is_tested():
    job = read(GITHUB / "workflows" / "test.yml")["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert {*matrix["python"], *(each["python"] for each in matrix["include"])} == set(PYTHONS)
    declared = re.findall(r"Python :: (3\.\d+)$", (ROOT / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(declared) == PYTHONS


def test_nothing_is_published_before_it_was_tested_compared_and_a_person_said_yes():
    jobs = read(GITHUB / "workflows" / "release.yml")["jobs"]
    assert jobs["publish"]["needs"] == "attest"
    assert jobs["attest"]["needs"] == ["test", "verify"]
    assert jobs["verify"]["needs"] == "build"
    assert jobs["publish"]["environment"]["name"] == "pypi"
    assert len(jobs["build"]["strategy"]["matrix"]["system"]) == 2


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("zizmor", path=sysconfig.get_path("scripts"))
    if program is None:
        pytest.skip("zizmor is not installed")
    return subprocess.run(
        [program, "--offline", "--no-config", "--pedantic", "--no-progress", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_zizmor_finds_nothing_in_the_workflows():
    done = zizmor(GITHUB)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (r"(checkout)@\S+ # \S+", r"\1@v7"),
        (r"permissions: {}", r"permissions: write-all"),
        (r"\n        with:\n          persist-credentials: false", ""),
        (r'make PYTHON=python "\$TARGET"', r"make ${{ github.event.pull_request.title }}"),
    ],
)
def test_zizmor_would_find_a_door_that_is_left_open(good, bad, tmp_path):
    text = (GITHUB / "workflows" / "test.yml").read_text(encoding="utf-8")
    changed = re.sub(good, bad, text)
    assert changed != text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "test.yml").write_text(changed, encoding="utf-8")
    assert zizmor(tmp_path / ".github").returncode > 10
