"""`safe-sqs policy check`: what is printed, what the exit status is, and what happens with files that are not fit."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import cli_runner

pytest.importorskip("click")
pytest.importorskip("rich")

from scripted import running, says

from safe_sqs.cli.commands import safe_sqs
from safe_sqs.cli.policy_files import sources_in

FILES = Path(__file__).parent / "templates"
ARN = "arn:aws:sqs:eu-central-1:111122223333:orders"


def statement(principal="*", resource=ARN, **more):
    return {"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": resource, **more}


def written(name, *statements):
    Path(name).write_text(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    return name


def check(*arguments, **settings):
    return cli_runner().invoke(safe_sqs, ["policy", "check", *map(str, arguments)], catch_exceptions=False, **settings)


@pytest.fixture
def public():
    return written("public.json", statement(Sid="Anyone"))


@pytest.fixture
def closed():
    return written("closed.json", statement({"AWS": "444455556666"}))


def test_a_public_policy_is_told_with_its_witness_and_what_to_do(public):
    done = check(public)
    assert done.exit_code == 1
    assert done.stdout.startswith("public.json is public.\n")
    assert "anyone on the internet" in done.stdout
    assert "Next step: in statement 'Anyone', name who may as Principal" in done.stdout
    assert f"Judged as the policy of {ARN}." in done.stdout
    assert done.stderr == ""


def test_a_policy_that_is_not_public_passes_although_a_rule_warns(closed):
    done = check(closed)
    assert done.exit_code == 0
    assert done.stdout.startswith("closed.json is not public.\n")
    assert "tls-only-policy (warned)" in done.stdout
    assert check(closed, "--fail-on", "warn").exit_code == 1
    assert check(closed, "--profile", "strict").exit_code == 1


def test_standard_input_is_a_file(public):
    assert check("-", input=Path(public).read_text()).exit_code == 1
    assert "standard-input is public" in check("-", input=Path(public).read_text()).stdout


@pytest.mark.parametrize(
    ("arn", "status", "told"),
    [
        (ARN, 1, "public.json is public"),
        (ARN + "-typo", 2, "It could not be told whether public.json is public"),
    ],
)
def test_the_arn_of_the_queue_can_be_said_and_a_wrong_one_is_no_pass(public, arn, status, told):
    done = check(public, "--queue-arn", arn)
    assert (done.exit_code, told in done.stdout) == (status, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--queue-arn", "orders"], "is not the ARN of a queue"),
        (["--value", "x"], "is not of the form NAME=VALUE"),
        (["--format", "asff"], "about queues that are there"),
        (["--mode", "nonsense=off"], "nonsense"),
        (["--queue-arn", ARN, str(FILES / "shop.yaml")], "a template names its queues"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(public, arguments, told):
    done = check(public, *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"{", "not JSON"),
        (b"\xff\xff\xff", "is not text"),
        (b"{}", "neither a policy"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_not_fit_is_told_in_one_line(content, told):
    if content is not None:
        Path("x.json").write_bytes(content)
    done = check("x.json")
    assert done.exit_code == 2
    assert done.stderr.startswith("safe-sqs")
    assert ": x.json: " in done.stderr
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_file_that_may_not_be_read_is_told(public):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    Path(public).chmod(0)
    done = check(public)
    assert done.exit_code == 2
    assert f"'{public}' is not readable" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_as_powershell_writes_them_are_read(public, encoding):
    Path(public).write_bytes(Path(public).read_text().encode(encoding))
    assert check(public).exit_code == 1


def test_a_bad_file_among_others_hides_none_of_them(public, closed):
    Path("broken.json").write_text("{")
    done = check(closed, "broken.json", public)
    assert done.exit_code == 1
    assert "public.json:1" in done.stdout
    assert "broken.json" in done.stdout
    assert check(closed, "broken.json").exit_code == 2


def test_in_a_hook_files_about_other_things_can_be_passed_over(closed):
    Path("package.json").write_text('{"name": "shop"}')
    assert check(closed, "package.json").exit_code == 2
    assert check(closed, "package.json", "--skip-unrelated").exit_code == 0
    assert check("package.json", "--skip-unrelated").exit_code == 0
    Path("broken.json").write_text("{")
    assert check("broken.json", "--skip-unrelated").exit_code == 2


def test_templates_are_shown_as_a_table_with_file_and_line():
    done = check(FILES / "shop.yaml")
    assert done.exit_code == 1
    assert "shop.yaml:41 OrdersPolicy of Orders REFUSED" in " ".join(done.stdout.split())
    assert "set SqsManagedSseEnabled to true" in done.stdout


def test_the_output_of_the_cdk_is_a_directory():
    done = check(FILES / "cdk.out")
    assert done.exit_code == 1
    assert "6 queues" in done.stdout
    assert "arn:aws:iam::111122223333:root" in done.stdout  # the account of the stage, as the manifest says it


def test_a_directory_is_searched_for_templates_and_not_below_what_is_installed(public):
    for folder in ("stacks", "node_modules/x"):
        Path(folder).mkdir(parents=True)
        Path(folder, "shop.yaml").write_text((FILES / "shop.yaml").read_text())
    Path("stacks", "notes.yaml").write_text("AWS::SQS:: is what we use")
    Path("stacks", "picture.json").write_bytes(b"\xff\xfe\xff")
    assert [source.name for source in sources_in(".")] == ["stacks/notes.yaml", "stacks/shop.yaml"]
    done = check(".")
    assert "stacks/shop.yaml:41" in done.stdout
    assert "notes" not in done.stdout


@pytest.mark.parametrize(
    ("name", "encoding"), [("SHOP.YAML", "utf-8"), ("shop.Template", "utf-16"), ("shop.yml", "utf-16")]
)
def test_a_template_in_a_directory_is_found_however_it_is_written(name, encoding):
    Path("stacks").mkdir()
    Path("stacks", name).write_bytes((FILES / "shop.yaml").read_text().encode(encoding))
    assert f"stacks/{name}:41" in check("stacks", "--skip-unrelated").stdout


def test_a_template_in_a_directory_that_cannot_be_read_is_no_pass(closed):
    Path("stacks").mkdir()
    Path("stacks", "shop.yaml").write_bytes("# für AWS::SQS::Queue".encode("latin-1"))
    done = check("stacks", closed)
    assert done.exit_code == 2
    assert "shop.yaml" in done.stdout
    assert "it is not text" in done.stdout


def test_only_files_in_a_directory_are_opened():
    Path("stacks").mkdir()
    Path("stacks", "gone.yaml").symlink_to("nowhere")
    os.mkfifo(Path("stacks", "pipe.json"))
    Path("stacks", "shop.yaml").write_text((FILES / "shop.yaml").read_text())
    assert [source.name for source in sources_in("stacks")] == ["stacks/shop.yaml"]


def test_a_manifest_of_a_web_application_makes_no_cloud_assembly():
    Path("web").mkdir()
    Path("web", "manifest.json").write_text('{"name": "Shop", "start_url": "."}')
    Path("web", "other.template.json").write_text('{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}')
    Path("web", "shop.yaml").write_text((FILES / "shop.yaml").read_text())
    done = check("web")
    assert done.exit_code == 1
    assert "web/shop.yaml:41" in done.stdout


def test_of_several_documents_in_a_file_those_about_other_things_hide_none(public):
    Path("stacks").mkdir()
    template = (FILES / "shop.yaml").read_text()
    Path("stacks", "shop.yaml").write_text(f"name: shop\n---\n{template}\n---\nname: more\n")
    for arguments in (["stacks"], ["stacks/shop.yaml"], ["stacks", "--skip-unrelated"]):
        assert check(*arguments).exit_code == 1
    Path("stacks", "shop.yaml").write_text("name: shop\n---\nname: more\n")
    assert check("stacks/shop.yaml").exit_code == 2


def test_a_directory_without_templates_is_told():
    Path("empty").mkdir()
    done = check("empty")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "no template with a queue" in done.stderr


def test_a_garbled_manifest_is_told():
    Path("cdk.out").mkdir()
    Path("cdk.out/manifest.json").write_text("[]")
    for arguments in (["cdk.out"], ["cdk.out", "--skip-unrelated"]):
        done = check(*arguments)
        assert done.exit_code == 2
        assert "run cdk synth anew" in done.stderr


def test_values_that_a_template_leaves_open_can_be_said():
    template = (FILES / "shop.yaml").read_text().replace("arn:aws:iam::${PartnerAccount}:root", "${PartnerAccount}")
    Path("shop.yaml").write_text(template)
    found = json.loads(check("shop.yaml", "--format", "json").stdout)
    assert "PartnerAccount" in json.dumps(found)
    said = json.loads(check("shop.yaml", "--format", "json", "--value", "PartnerAccount=444455556666").stdout)
    assert "it could not be told" in json.dumps(found)
    assert "it could not be told" not in json.dumps(said)


@pytest.mark.parametrize("format", ["json", "sarif"])
def test_machines_get_json_and_nothing_else(public, format):  # noqa: A002
    done = check(public, FILES / "cdk.out", "--format", format)
    assert done.exit_code == 1
    assert "public-access" in json.dumps(json.loads(done.stdout))
    assert "public.json" in done.stdout


def test_junit_is_xml(public):
    ET.fromstring(check(public, "--format", "junit").stdout)


def test_an_output_file_is_written_and_a_page_too(public):
    assert check(public, "--format", "html", "--output", "page.html").exit_code == 1
    assert "<html" in Path("page.html").read_text()


def test_names_in_files_move_no_cursor_and_bring_no_colour():
    name = written("x\x1b[31m.json", statement(Sid="[red]\x1b[2J"))
    for done in (check(name), check(name, FILES / "function.yaml")):
        assert done.exit_code == 1
        assert "\x1b" not in done.output
        assert "[red]" in done.output


def test_a_name_that_is_no_text_for_a_terminal_is_told_without_harm():
    done = check("x\x1b[31m\n.json")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "\x1b" not in done.stderr


def test_whoever_reads_may_stop_reading(public):
    command = f"{sys.executable} -c 'from safe_sqs.cli import main; main()' policy check {public} {public} - < {public}"
    done = subprocess.run(f"{command} | true", shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr


def test_nothing_is_loaded_of_aws_for_a_file(public):
    program = (
        "import sys\nfrom safe_sqs.cli.commands import safe_sqs\n"
        f"safe_sqs(['policy', 'check', {public!r}], standalone_mode=False)\n"
        "print([name for name in ('botocore.client', 'boto3', 'safe_sqs.fleet') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_second_opinion_is_shown_and_changes_no_exit_status(public, monkeypatch):
    with running() as server:
        server.script[""] = says(result="PASS", message="fine")  # for any operation that its path names
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", server.authority)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, "ASIAEXAMPLEEXAMPLE01")
        done = check(public, "--second-opinion", "access-analyzer")
        template = check(FILES / "shop.yaml", "--second-opinion", "access-analyzer")
    assert done.exit_code == 1
    assert "access-analyzer differs: it says not public" in done.stdout
    assert "known only when it is deployed" in template.stdout


def test_help_teaches():
    done = check("--help")
    assert done.exit_code == 0
    for word in (
        "Examples:",
        "terraform show -json plan | safe-sqs policy check -",
        "exit status",
        "[default: enforce]",
    ):
        assert word in done.stdout


def test_bytes_on_standard_input_that_are_no_text_are_told():
    done = check("-", input=io.BytesIO(b"\xff\xff\xff\x00").read())
    assert (done.exit_code, "is not text" in done.stderr) == (2, True)
