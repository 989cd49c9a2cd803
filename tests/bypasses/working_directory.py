"""Configuration that lies in the working directory, beside it, or in the home."""

from __future__ import annotations

import os
from pathlib import Path

from support import UNENCRYPTED

from bypasses.stage import Stage
from bypasses.ways import Family
from safe_sqs import sources

FAMILY = Family("config from the working directory")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope

LOOSE = 'profile = "observe"\n'


def send(stage: Stage) -> None:
    """A message to a bad queue, by a client that is made now."""
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def file_in_the_folder_above(stage: Stage) -> None:
    """A loose `safe-sqs.toml` in the folder above the working directory."""
    Path("safe-sqs.toml").write_text(LOOSE)
    below = stage.folder / "below"
    below.mkdir()
    os.chdir(below)
    send(stage)


@way
def file_in_the_home(stage: Stage) -> None:
    """A loose `safe-sqs.toml` in the home, and in the folder for configurations there."""
    home = stage.folder / "home"
    for folder in (home, home / ".config", home / ".config" / "safe-sqs", home / ".aws"):
        folder.mkdir(exist_ok=True)
        (folder / "safe-sqs.toml").write_text(LOOSE)
    os.environ.update(HOME=str(home), USERPROFILE=str(home), XDG_CONFIG_HOME=str(home / ".config"))
    send(stage)


@way
def file_of_another_name(stage: Stage) -> None:
    """Loose files under names that are near, which nobody reads."""
    for name in ("safe_sqs.toml", ".safe-sqs.toml", "safe-sqs.cfg", "safe-sqs.toml.bak", "SAFE-SQS.TOML.txt"):
        Path(name).write_text(LOOSE)
    Path("setup.cfg").write_text("[safe-sqs]\nprofile = observe\n")
    Path(".env").write_text("SAFE_SQS_PROFILE=observe\n")
    send(stage)


@way
def table_of_another_name(stage: Stage) -> None:
    """A `pyproject.toml` whose loose table has another name."""
    Path("pyproject.toml").write_text(f"[tool.safe_sqs]\n{LOOSE}[tool.other.safe-sqs]\n{LOOSE}")
    send(stage)


@way
def file_written_after_the_client_was_made(stage: Stage) -> None:
    """A loose file that is written when the client is made already."""
    client = stage.library.client("sqs")
    Path("safe-sqs.toml").write_text(LOOSE)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def another_working_directory_before_the_first_use(stage: Stage) -> None:
    """A working directory with a loose file, into which a program goes before it first uses a client."""
    del os.environ["SAFE_SQS_TRUSTED_ENDPOINT_HOSTS"]
    client = stage.library.client("sqs")
    below = stage.folder / "below"
    below.mkdir()
    (below / "safe-sqs.toml").write_text(LOOSE)
    os.chdir(below)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def file_that_is_no_toml(stage: Stage) -> None:
    """A file that cannot be read."""
    Path("safe-sqs.toml").write_text("profile: observe\n")
    send(stage)


@way
def file_with_an_unknown_key(stage: Stage) -> None:
    """A file with a key that does not exist."""
    Path("safe-sqs.toml").write_text("enabled = false\n")
    send(stage)


@way
def file_that_is_named_and_not_there(stage: Stage) -> None:
    """A file that SAFE_SQS_CONFIG names and that is not there, beside a loose one that is."""
    Path("safe-sqs.toml").write_text(LOOSE)
    os.environ["SAFE_SQS_CONFIG"] = str(stage.folder / "missing.toml")
    send(stage)


def lock(stage: Stage) -> None:
    """Have the organisation lock the profile."""
    file = stage.folder / "organisation.toml"
    hosts = f'["{stage.front.host}", "{stage.unknown.netloc}"]'
    file.write_text(f'profile = "baseline"\ntrusted_endpoint_hosts = {hosts}\n')
    sources.ORGANISATION_FILES = (file,)


@way
def looser_than_the_organisation(stage: Stage) -> None:
    """A loose file in the working directory, where the organisation locks the profile."""
    lock(stage)
    Path("safe-sqs.toml").write_text(LOOSE)
    send(stage)


@way
def exemption_that_the_organisation_does_not_know(stage: Stage) -> None:
    """An exemption in the environment, where the organisation locks the profile."""
    lock(stage)
    os.environ["SAFE_SQS_MODES"] = "queue-encryption=warn"
    send(stage)


@way
def host_that_the_organisation_does_not_know(stage: Stage) -> None:
    """A host that the working directory trusts, where the organisation locks the profile."""
    lock(stage)
    del os.environ["SAFE_SQS_TRUSTED_ENDPOINT_HOSTS"]
    Path("safe-sqs.toml").write_text('trusted_endpoint_hosts = ["evil.example"]\n')
    send(stage)


@way
def aws_files_in_the_working_directory(stage: Stage) -> None:
    """Files of AWS in the working directory, which nobody reads, and a loose endpoint in the real ones."""
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(f"[default]\nendpoint_url = {stage.plain.url}\n")
    del os.environ["AWS_ENDPOINT_URL"]
    folder = Path(".aws")
    folder.mkdir()
    (folder / "config").write_text(f"[default]\nendpoint_url = {stage.front.url}\n")
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("`safe-sqs.toml` and `pyproject.toml` are read from the working directory")
def loose_file(stage: Stage) -> None:
    """A loose `safe-sqs.toml` in the working directory."""
    Path("safe-sqs.toml").write_text(LOOSE)
    url = stage.queue("plain", **UNENCRYPTED)
    stage.library.client("sqs").send_message(QueueUrl=url, MessageBody=stage.secret)


@out_of_scope("`safe-sqs.toml` and `pyproject.toml` are read from the working directory")
def loose_table_of_a_project(stage: Stage) -> None:
    """A loose table in a `pyproject.toml` in the working directory."""
    Path("pyproject.toml").write_text(f"[tool.safe-sqs]\n{LOOSE}")
    url = stage.queue("plain", **UNENCRYPTED)
    stage.library.client("sqs").send_message(QueueUrl=url, MessageBody=stage.secret)
