"""The documentation: its code runs, its links lead somewhere, and it names every rule and every setting.

CONTRIBUTING.md, "Change the documentation", has the conventions for code blocks and for the comments before them.
"""

from __future__ import annotations

import configparser
import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
import yaml
from botocore import xform_name
from support import TEMPORARY

import safe_sqs
from safe_sqs import Config, ConfigError, Profile, policy, sources
from safe_sqs.model import Facts, Mode, Queue, Rule
from safe_sqs.operations import OPERATIONS, kind_of
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
REGION = "eu-central-1"
MOST_SKIPPED = 2
KNOWN_SITES = {"docs.aws.amazon.com", "keepachangelog.com", "semver.org"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
every_rule = pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.name)


# --- reading pages -----------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """A code block, or Python in a hidden comment. `first` is the line of its first line of code, counted from 1;
    `notes` are the `docs-test` comments before it."""

    page: Path
    first: int
    language: str
    text: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.first}"

    def note(self, name: str) -> str | None:
        """What stands after the name of a note, or None where there is no such note."""
        for note in self.notes:
            if note.startswith(name):
                return note.removeprefix(name).strip(": ")
        return None


_NOTE = re.compile(r"\s*<!-- docs-test: (?P<text>.+) -->")
_FENCE = re.compile(r"(?P<indent>\s*)```(?P<language>\S*)\s*")


def blocks_of(page: Path) -> list[Block]:
    return list(_read_blocks(page))


def _read_blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    notes: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if note := _NOTE.fullmatch(line):
            notes.append(note["text"])
        elif line.strip() == "<!-- docs-test: hidden":
            end = lines.index("-->", at)
            yield Block(page, at + 1, "python", "\n".join(lines[at:end]), ("hidden",))
            at = end + 1
        elif fence := _FENCE.fullmatch(line):
            indent = fence["indent"]
            end = lines.index(f"{indent}```", at)
            text = "\n".join(each.removeprefix(indent) for each in lines[at:end])
            yield Block(page, at + 1, fence["language"], text, tuple(notes))
            notes = []
            at = end + 1
        elif line.strip():
            notes = []


def all_blocks(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page) if block.language == language]


def commands_of(block: Block) -> Iterator[list[str]]:
    for line in block.text.splitlines():
        for command in line.split(" && "):
            if words := shlex.split(command, comments=True):
                yield words


def is_run(block: Block) -> bool:
    return block.note("skip") is None


def runs_in_page(block: Block) -> bool:
    return block.language == "python" and is_run(block) and block.note("rule") is None


def in_near_future(text: str) -> str:
    """The text with the days in it moved, so that an exemption in an example never expires."""
    return re.sub(r"\b2027-\d\d-\d\d\b", (date.today() + timedelta(days=30)).isoformat(), text)


def each(blocks: list[Block]) -> Any:
    return pytest.mark.parametrize("block", blocks, ids=str)


# --- code --------------------------------------------------------------------------------------------------------


@pytest.fixture
def surroundings(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The environment of a page: the emulator as the endpoint, with no queue in it."""
    settings = {
        "AWS_ENDPOINT_URL_SQS": emulator.url,
        "AWS_CA_BUNDLE": emulator.authority,
        "AWS_ACCESS_KEY_ID": TEMPORARY["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": TEMPORARY["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": TEMPORARY["aws_session_token"],
        "AWS_DEFAULT_REGION": REGION,
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
    }
    session = boto3.session.Session(region_name=REGION)
    sqs = session.client("sqs", endpoint_url=emulator.url, verify=emulator.authority, **TEMPORARY)
    for url in sqs.list_queues().get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)
    return settings


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(runs_in_page, blocks_of(page)))], ids=lambda page: page.name
)
def test_the_python_of_a_page_runs_and_prints_what_the_page_shows(page, surroundings, tmp_path):
    text = page.read_text(encoding="utf-8")
    for needed in re.findall(r"<!-- docs-test: needs (\w+) -->", text):
        pytest.importorskip(needed)
    blocks = blocks_of(page)
    for block in blocks:
        if (name := block.note("file")) is not None:
            (tmp_path / name).write_text(in_near_future(block.text), encoding="utf-8")
    code = [block for block in blocks if runs_in_page(block)]
    brings_its_own = "<!-- docs-test: no emulator -->" in text
    printed = run_program(program_of(code), tmp_path, {} if brings_its_own else surroundings)
    for block, output in zip(code, printed, strict=True):
        expected = shown_output(block, blocks)
        assert fits(expected, output), f"{block} printed\n{output}\nand the page shows\n{expected}"


def program_of(code: list[Block]) -> str:
    """One program, with each line where it stands on the page, so that a traceback says where to look."""
    lines: list[str] = []
    for number, block in enumerate(code):
        lines += [""] * (block.first - 1 - len(lines))
        lines += in_near_future(block.text).splitlines()
        lines.append(f"print({end_of(number)!r})")
    return "\n".join(lines)


def end_of(number: int) -> str:
    return f"--- end of block {number} ---\n"


def run_program(program: str, folder: Path, settings: Mapping[str, str]) -> list[str]:
    """What each block of the program printed."""
    file = folder / "page.py"
    file.write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **settings}
    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outputs = []
    rest, number = done.stdout, 0
    while rest:
        output, _, rest = rest.partition(f"{end_of(number)}\n")
        outputs.append(output)
        number += 1
    return outputs


def shown_output(block: Block, blocks: list[Block]) -> str:
    """The `text` block that follows a block of Python, or "" where another block follows."""
    following = blocks[blocks.index(block) + 1 :]
    if following and following[0].language == "text" and is_run(following[0]):
        return following[0].text + "\n"
    return ""


def fits(expected: str, output: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, output) is not None


@pytest.mark.parametrize(
    ("expected", "output", "result"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("", "a\n", False),
        ("a\n", "", False),
        ("x...z\n", "xyz\n", True),
        ("x...z\n", "x\nz\n", False),
    ],
)
def test_shown_output_is_compared_in_full_and_line_by_line(expected, output, result):
    assert fits(expected, output) is result


@each(all_blocks("text"))
def test_every_text_block_is_the_output_of_the_python_before_it(block):
    blocks = blocks_of(block.page)
    before = blocks[blocks.index(block) - 1]
    assert not is_run(block) or runs_in_page(before)


def test_the_rule_in_the_guide_for_contributors_is_a_rule():
    (block,) = [block for block in all_blocks("python") if block.note("rule") is not None]
    namespace: dict[str, Any] = {}
    exec(compile(block.text, str(block), "exec"), namespace)
    rule = namespace["RULE"]
    assert isinstance(rule, Rule)
    facts = Facts(_QUEUE)
    assert len(list(rule.check(facts, Config()))) == 1
    assert not list(rule.check(facts._replace(dead_letter=facts), Config()))


# --- configuration in examples -----------------------------------------------------------------------------------


@each(all_blocks("toml"))
def test_toml_in_the_documentation_is_a_configuration_and_means_the_same_in_code(block, tmp_path, monkeypatch):
    said = tomllib.loads(in_near_future(block.text))
    said = said.get("tool", {}).get("safe-sqs", said)
    in_code = Config(**said)
    assert load_toml(block, tmp_path, monkeypatch) == in_code


def load_toml(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    in_project = "[tool.safe-sqs" in block.text
    file = folder / ("pyproject.toml" if in_project else "safe-sqs.toml")
    file.write_text(in_near_future(block.text), encoding="utf-8")
    if block.note("organisation") is not None:
        monkeypatch.setattr(sources, "ORGANISATION_FILES", (file,))
    else:
        monkeypatch.chdir(folder)
    return Config()


def test_a_wrong_toml_block_would_be_noticed(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="profil"):
        load_toml(Block(ROOT / "README.md", 1, "toml", 'profil = "strict"', ()), tmp_path, monkeypatch)


def exports_of(block: Block) -> dict[str, str]:
    exported = [words[1:] for words in commands_of(block) if words[0] == "export"]
    return {
        name: in_near_future(value) for words in exported for name, _, value in (word.partition("=") for word in words)
    }


@each([block for block in all_blocks("bash") if any(name.startswith("SAFE_SQS_") for name in exports_of(block))])
def test_the_environment_in_the_documentation_is_a_configuration(block, monkeypatch):
    before = Config()
    for name, value in exports_of(block).items():
        monkeypatch.setenv(name, value)
    assert Config() != before


@pytest.fixture
def complete_examples(tmp_path, monkeypatch) -> tuple[Mapping[str, Any], Config, Config, Config]:
    """The keys of the complete example, and the configurations that its three spellings give."""
    page = DOCS / "reference" / "configuration.md"
    text = page.read_text(encoding="utf-8")
    start = text[: text.index("## All settings at once")].count("\n")
    by_language: dict[str, Block] = {}
    for block in blocks_of(page):
        if block.first > start:
            by_language.setdefault(block.language, block)
    namespace: dict[str, Any] = {}
    exec(in_near_future(by_language["python"].text), namespace)
    with monkeypatch.context() as patch:
        from_file = load_toml(by_language["toml"], tmp_path, patch)
    with monkeypatch.context() as patch:
        for name, value in exports_of(by_language["bash"]).items():
            patch.setenv(name, value)
        from_environment = Config()
    return tomllib.loads(by_language["toml"].text), from_file, from_environment, namespace["config"]


def test_the_complete_example_says_every_setting_and_the_same_in_all_three_ways(complete_examples):
    keys, from_file, from_environment, from_code = complete_examples
    assert set(keys) == set(settings())
    assert from_file == from_environment == from_code


# --- policies ----------------------------------------------------------------------------------------------------

_QUEUE = Queue("https://sqs.eu-central-1.amazonaws.com/111122223333/orders", "aws", REGION, "111122223333", "orders")


@each(all_blocks("json"))
def test_a_policy_in_the_documentation_is_judged_as_the_text_says(block):
    document = json.loads(block.text)
    claims = [note.split()[1:] for note in block.notes if note.startswith("policy ")]
    if block.note("identity policy") is not None:
        assert not claims
        check_identity_policy(document)
        return
    assert claims, f"{block}: no comment says what this policy is for"
    for rule, claim in claims:
        problems = list(RULES_BY_NAME[rule].check(Facts(_QUEUE, policy=block.text), Config()))
        assert bool(problems) is {"refused": True, "passes": False}[claim], f"{rule}: {problems}"


def check_identity_policy(document: Any) -> None:
    """Every action of SQS is one that there is, and batch operations have none of their own."""
    actions = {f"sqs:{operation}" for operation in OPERATIONS if not operation.endswith("Batch")}
    assert document["Version"] == "2012-10-17"
    for statement in document["Statement"]:
        assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
        named = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert {action for action in named if action.startswith("sqs:")} <= actions


# --- commands ----------------------------------------------------------------------------------------------------


def _check_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert words and set(words) <= set(targets), f"make {words} is none of {targets}"


def _check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    what = words[-1]
    extras = re.fullmatch(r"\.(?:\[(?P<names>[a-z,]+)\])?", what)
    assert extras, f"{what!r} is not the checkout"
    assert set((extras["names"] or "").split(",")) <= {"", *metadata()["options.extras_require"]}


def _check_aws(words: list[str]) -> None:
    service, command, *rest = words
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    members = model.operation_model(operations[command]).input_shape.members
    options = {word for word in rest if word.startswith("--")}
    assert options <= {f"--{xform_name(name, '-')}" for name in members}


def _check_safe_sqs(words: list[str]) -> None:
    program = Path(sys.executable).with_name("safe-sqs")
    words = words[: words.index("--")] if "--" in words else words
    group = ("policy", "generate")
    path = [word for index, word in enumerate(words) if index == 0 or set(words[:index]) <= set(group)]
    options = words[len(path) :]
    asked = subprocess.run([program, *path, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stderr
    assert all(option in asked.stdout for option in options if option.startswith("-"))


def _check_python(words: list[str]) -> None:
    if words[0] == "-m":
        _check_module(words[1], words[2:])
    else:
        assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"


def _check_module(module: str, words: list[str]) -> None:
    """A module of the tests or of pip has the options, and the files that pip is to read are there."""
    if module == "venv":
        return
    command = [sys.executable, "-m", module, *(words[:1] if module == "pip" else []), "--help"]
    asked = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stderr
    assert all(word in asked.stdout for word in words if word.startswith("-"))
    assert all((ROOT / word).is_file() for word in words if word.endswith(".txt"))


def _check_git(words: list[str]) -> None:
    listed = subprocess.run(["git", "--list-cmds=main"], capture_output=True, text=True, timeout=60, check=True)
    assert words[0] in listed.stdout.split()


def _check_gh(words: list[str]) -> None:
    """By the command itself where it is installed, and by the list of what the documentation needs elsewhere."""
    assert tuple(words[:2]) in {("attestation", "verify"), ("release", "download"), ("run", "list"), ("run", "watch")}
    if shutil.which("gh"):
        asked = subprocess.run(["gh", *words[:2], "--help"], capture_output=True, text=True, timeout=60, check=True)
        assert all(word in asked.stdout for word in words if word.startswith("--"))


def _check_sha256sum(words: list[str]) -> None:
    assert set(words) <= {"--check", "--strict", "SHA256SUMS"} or all(word.endswith(".whl") for word in words)


def _check_cd(words: list[str]) -> None:
    assert len(words) == 1


def _check_tool(words: list[str]) -> None:
    paths = [word for word in words if word.endswith(".py")]
    assert all((ROOT / path).is_file() for path in paths)


def _check_export(words: list[str]) -> None:
    assert all(re.fullmatch(r"(?:SAFE_SQS|AWS)_[A-Z_]+=.+", word) for word in words)


def _check_activate(words: list[str]) -> None:
    assert re.fullmatch(r"\.venv[a-z-]*/bin/activate", words[0])


def _check_jq(words: list[str]) -> None:
    """The filter compiles, where jq is installed."""
    if shutil.which("jq"):
        subprocess.run(["jq", "-n", f"empty | {words[-2]}"], check=True, capture_output=True, timeout=60)


_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    ".": _check_activate,
    "aws": _check_aws,
    "cd": _check_cd,
    "export": _check_export,
    "gh": _check_gh,
    "git": _check_git,
    "jq": _check_jq,
    "make": _check_make,
    "mypy": _check_tool,
    "pip": _check_pip,
    "pytest": _check_tool,
    "python": _check_python,
    "python3": _check_python,
    "ruff": _check_tool,
    "safe-sqs": _check_safe_sqs,
    "sha256sum": _check_sha256sum,
}


@each(all_blocks("bash"))
def test_commands_in_the_documentation_exist(block):
    for program, *words in commands_of(block):
        assert program in _COMMANDS, f"{block}: {program} is not a command that the tests know"
        _COMMANDS[program](words)


@pytest.mark.parametrize(
    "line",
    [
        "make coffee",
        'pip install ".[coffee]"',
        "pip install coffee",
        "aws sqs boil-queue --queue-url X",
        "aws sqs purge-queue --kettle X",
        "python benchmarks/coffee.py",
        "python -m supply.coffee",
        "python -m supply.build --coffee",
        "python -m pip install --require-hashes -r tests/supply/locks/coffee.txt",
        "git boil",
        "gh coffee make",
        "sha256sum --coffee",
        "pytest tests/test_coffee.py",
        "safe-sqs coffee",
        "safe-sqs demo --coffee",
    ],
)
def test_a_command_that_does_not_exist_would_be_noticed(line):
    ((program, *words),) = commands_of(Block(ROOT / "README.md", 1, "bash", line, ()))
    with pytest.raises((AssertionError, KeyError)):
        _COMMANDS[program](words)


@every_page
def test_code_is_of_a_kind_that_the_tests_run(page):
    assert {block.language for block in blocks_of(page)} <= {"python", "text", "toml", "json", "bash", "yaml"}


@every_page
def test_yaml_is_yaml(page):
    for block in blocks_of(page):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict | list)


def test_few_blocks_are_skipped_and_each_says_why():
    reasons = [
        block.note("skip")
        for language in ("python", "text", "toml", "json", "bash")
        for block in all_blocks(language)
        if not is_run(block)
    ]
    assert all(reasons)
    assert len(reasons) <= MOST_SKIPPED


# --- completeness ------------------------------------------------------------------------------------------------


def settings() -> list[str]:
    return list(inspect.signature(Config).parameters)


def metadata() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def rule_page(rule: Rule) -> Path:
    return DOCS / "reference" / "rules" / f"{rule.name}.md"


def in_words(rule: Rule, profile: str, template: str) -> str:
    """A rule's mode in a profile, with its level where it has levels."""
    said = Config(profile=profile)
    level = said.level(rule.name)
    return said.mode(rule.name).value + (template.format(level) if level else "")


@every_rule
def test_every_rule_has_a_page_that_says_danger_check_example_and_cure(rule):
    text = rule_page(rule).read_text(encoding="utf-8")
    assert text.startswith(f"# {rule.name}\n\n**{rule.title}.**")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "The danger",
        "What is checked",
        "What it looks like",
        "How to mend it",
    ]
    assert rule.practice.url in text
    modes = " ".join(
        "`{}` in `{}`{}".format(
            Config(profile=profile).mode(rule.name).value,
            profile,
            f" (level `{level}`)" if (level := Config(profile=profile).level(rule.name)) else "",
        )
        + end
        for profile, end in (("baseline", ","), ("strict", ""))
    )
    assert f"Mode: {modes}" in text


@every_rule
def test_every_level_of_a_rule_is_on_its_page(rule):
    text = rule_page(rule).read_text(encoding="utf-8")
    assert all(f"| `{level}` |" in text for level in rule.levels)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", DOCS / "reference" / "rules" / "index.md"], ids=lambda page: page.name
)
def test_the_tables_of_rules_are_complete_and_have_the_right_modes(page):
    rows = re.findall(
        r"\[(?P<name>[a-z-]+)\]\([a-z/]*\1\.md\).*\| (?P<baseline>[^|]+) \| (?P<strict>[^|]+) \|$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    shown = {name: (baseline, strict) for name, baseline, strict in rows if name in RULES_BY_NAME}
    assert shown == {
        rule.name: (in_words(rule, "baseline", " ({})"), in_words(rule, "strict", " ({})")) for rule in ALL_RULES
    }


def pages_in_navigation(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(target, str):
                yield target
            else:
                yield from pages_in_navigation(target)


def test_every_page_of_the_documentation_is_in_the_navigation():
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages_in_navigation(navigation)) == sorted(
        page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")
    )
    assert {f"reference/rules/{rule.name}.md" for rule in ALL_RULES} <= set(pages_in_navigation(navigation))


def test_every_setting_and_its_variable_is_in_the_reference():
    text = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `(\w+)`\n\n(`SAFE_SQS_\w+`)", text, re.MULTILINE))
    assert sections == {key: f"`SAFE_SQS_{key.upper()}`" for key in settings()}
    assert "`SAFE_SQS_CONFIG`" in text


def test_defaults_in_the_reference_are_those_of_the_code():
    text = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    said = Config()
    assert f"Default: `{said.profile.value}`." in text
    assert f"Default: {said.ttl_seconds:g}." in text
    assert f"Default: `{said.mode_when_unverifiable('').value}`." in text


@every_page
def test_no_variable_is_named_that_does_not_exist(page):
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page):
        if block.language in ("python", "text"):
            text = text.replace(block.text, "")
    known = {f"SAFE_SQS_{key.upper()}" for key in settings()} | sources.NOT_SETTINGS
    assert set(re.findall(r"SAFE_SQS_[A-Z][A-Z_]*", text)) <= known


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^::: safe_sqs\.(?:\w+\.)*(\w+)$", text, re.MULTILINE))
    assert set(safe_sqs.__all__) <= documented
    of_policies = {name for name in policy.__all__ if not takes_statements(getattr(policy, name))}
    assert {"decide", "public_access", "Answer"} <= of_policies <= documented


def takes_statements(thing: Any) -> bool:
    """True for the functions of the package that are for rules, which parse a policy only once."""
    return inspect.isfunction(thing) and "statements" in inspect.signature(thing).parameters


def test_every_name_in_the_reference_is_there():
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    for path in re.findall(r"^::: (\S+)$", text, re.MULTILINE):
        module, _, name = path.rpartition(".")
        if module != "safe_sqs.aio" or importlib.util.find_spec("aiobotocore"):
            assert hasattr(importlib.import_module(module), name), path


def test_every_operation_stands_in_the_row_of_its_kind():
    text = rule_page(RULES_BY_NAME["role-operations"]).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| (\w+(?:, \w+)*) \|", text, re.MULTILINE))
    shown = {operation: kind for kind, operations in rows.items() for operation in operations.split(", ")}
    assert {name: kind for name, kind in shown.items() if name != "Operations"} == {
        operation: kind_of(operation).value for operation in OPERATIONS
    }


def test_every_dependency_is_justified():
    text = (DOCS / "reference" / "dependencies.md").read_text(encoding="utf-8")
    lists = [metadata()["options"]["install_requires"], *metadata()["options.extras_require"].values()]
    names = {
        match[0]
        for entries in lists
        for entry in entries.split("\n")
        if (match := re.match(r"[A-Za-z0-9-]+", entry.strip())) is not None
    }
    assert len(names) > 10
    assert names <= set(re.findall(r"[A-Za-z0-9-]+", text))


# --- links -------------------------------------------------------------------------------------------------------


def links_of(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page):
        text = text.replace(block.text, "")
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@every_page
def test_links_between_pages_lead_somewhere(page):
    for link in links_of(page):
        if urlsplit(link).scheme:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors_of(target), f"{link} has no such heading"


@every_page
def test_links_out_are_https_and_to_sites_that_exist(page):
    for link in links_of(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert (parts.scheme, parts.netloc in KNOWN_SITES) == ("https", True), link


@every_page
def test_pages_of_the_built_documentation_link_to_nothing_outside_of_it(page):
    if DOCS not in page.parents:
        return
    for link in links_of(page):
        if not urlsplit(link).scheme:
            assert DOCS in (page.parent / link.partition("#")[0]).resolve().parents, link


def test_sections_that_pages_take_from_other_files_are_there():
    included = [
        (page, name)
        for page in PAGES
        for name in re.findall(r'^--8<-- "([^"]+)"$', page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert included
    for _page, name in included:
        file, _, section = name.partition(":")
        text = (ROOT / file).read_text(encoding="utf-8")
        if section:
            assert f"[start:{section}]" in text
            assert f"[end:{section}]" in text


def test_the_modes_are_explained_where_a_reader_first_meets_them():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{mode.value}`" in text for mode in Mode)
    assert all(f"`{profile.value}`" in text for profile in Profile)
