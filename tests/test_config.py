"""The configuration: where it comes from, which source wins, what is refused, and what an organisation can lock."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from safe_sqs import Config, ConfigError, Exemption, GuardError, Mode, Profile, Role, config, guard, sources
from safe_sqs.model import Subject
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME

TODAY = date(2026, 11, 24)
ACCOUNT, OTHER = "111122223333", "444455556666"
ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
URL = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders"
UNTIL = TODAY + timedelta(30)
EXEMPTION = {"queue": ARN, "rule": "tls-only-policy", "reason": "moves in December", "until": UNTIL.isoformat()}


@pytest.fixture(autouse=True)
def fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day on which exemptions are judged."""
    monkeypatch.setattr(config, "_today", lambda: TODAY)


# --- every key from every source ---------------------------------------------------------------------------------

# key: value in code, text in the environment, TOML, what Config then holds
KEYS: dict[str, tuple[Any, str, str, Any]] = {
    "profile": ("strict", "strict", 'profile = "strict"', Profile.STRICT),
    "role": ("producer", "producer", 'role = "producer"', Role.PRODUCER),
    "ttl_seconds": (60, "60", "ttl_seconds = 60", 60.0),
    "trusted_accounts": (
        [ACCOUNT, OTHER],
        f"{ACCOUNT}, {OTHER}",
        f'trusted_accounts = ["{ACCOUNT}", "{OTHER}"]',
        (ACCOUNT, OTHER),
    ),
    "trusted_endpoint_hosts": (
        ["localhost:4566", "[::1]:4566", "queue.internal"],
        "localhost:4566,[::1]:4566,queue.internal",
        'trusted_endpoint_hosts = ["localhost:4566", "[::1]:4566", "queue.internal"]',
        ("localhost:4566", "[::1]:4566", "queue.internal"),
    ),
    "vpcs": (["vpc-0a1b"], "vpc-0a1b", 'vpcs = ["vpc-0a1b"]', ("vpc-0a1b",)),
    "vpc_endpoints": (["vpce-0a1b"], "vpce-0a1b,", 'vpc_endpoints = ["vpce-0a1b"]', ("vpce-0a1b",)),
    "exemptions": (
        [EXEMPTION],
        json.dumps([EXEMPTION]),
        f"""
        [[exemptions]]
        queue = "{ARN}"
        rule = "tls-only-policy"
        reason = "moves in December"
        until = {UNTIL.isoformat()}
        """,
        (Exemption(ARN, "tls-only-policy", "moves in December", UNTIL),),
    ),
    "when_unverifiable": (
        {ARN: "warn"},
        f"{ARN}=warn",
        f'when_unverifiable = {{"{ARN}" = "warn"}}',
        ((ARN, Mode.WARN),),
    ),
    "verify_queues": ([URL], URL, f'verify_queues = ["{URL}"]', (URL,)),
    "event_source": ("enforce", "enforce", 'event_source = "enforce"', Mode.ENFORCE),
}
# modes and levels hold an entry for each rule, so they are looked at rule by rule
RULE_KEYS: dict[str, tuple[Any, str, str, Any]] = {
    "modes": (
        {"https-endpoint": "warn", "vpc-route": Mode.ENFORCE},
        "https-endpoint=warn,vpc-route=enforce",
        '[modes]\nhttps-endpoint = "warn"\nvpc-route = "enforce"',
        {"https-endpoint": Mode.WARN, "vpc-route": Mode.ENFORCE},
    ),
    "levels": (
        {"queue-encryption": "customer-key"},
        "queue-encryption=customer-key",
        'levels = {queue-encryption = "customer-key"}',
        {"queue-encryption": "customer-key"},
    ),
}
ALL_KEYS = KEYS | RULE_KEYS

Setter = Callable[..., Config]


@pytest.fixture
def speakers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Callable[[str], tuple[dict[str, Any], str]]]:
    """How each source says a key. Each gives the arguments of Config and what an error calls the source."""

    def code(key: str) -> tuple[dict[str, Any], str]:
        return {key: ALL_KEYS[key][0]}, "code"

    def environment(key: str) -> tuple[dict[str, Any], str]:
        variable = f"SAFE_SQS_{key.upper()}"
        monkeypatch.setenv(variable, ALL_KEYS[key][1])
        return {}, f"environment variable {variable}"

    def file(key: str) -> tuple[dict[str, Any], str]:
        write(Path("safe-sqs.toml"), ALL_KEYS[key][2])
        return {}, "file safe-sqs.toml"

    def named_file(key: str) -> tuple[dict[str, Any], str]:
        path = write(tmp_path / "guard.toml", ALL_KEYS[key][2])
        monkeypatch.setenv("SAFE_SQS_CONFIG", str(path))
        return {}, f"file {path}"

    def pyproject(key: str) -> tuple[dict[str, Any], str]:
        text = ALL_KEYS[key][2].replace("[[exemptions]]", "[[tool.safe-sqs.exemptions]]")
        text = text.replace("[modes]", "[tool.safe-sqs.modes]")
        head = "" if "[tool.safe-sqs" in text else "[tool.safe-sqs]\n"
        write(Path("pyproject.toml"), f'[project]\nname = "orders"\n{head}{text}')
        return {}, "file pyproject.toml, [tool.safe-sqs]"

    return {each.__name__: each for each in (code, environment, file, named_file, pyproject)}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


SOURCES = ["code", "environment", "file", "named_file", "pyproject"]


def test_every_key_is_in_the_tables_of_this_test():
    assert set(ALL_KEYS) == {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("key", KEYS)
def test_every_key_can_be_said_in_every_source(key, source, speakers):
    arguments, _ = speakers[source](key)
    assert getattr(Config(**arguments), key) == KEYS[key][3]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("key", RULE_KEYS)
def test_modes_and_levels_can_be_said_in_every_source(key, source, speakers):
    arguments, _ = speakers[source](key)
    held = dict(getattr(Config(**arguments), key))
    assert {name: held[name] for name in RULE_KEYS[key][3]} == RULE_KEYS[key][3]
    assert held == dict(getattr(_without_sources(), key)) | RULE_KEYS[key][3]


def _without_sources() -> Config:
    with pytest.MonkeyPatch.context() as patch:
        for key in ALL_KEYS:
            patch.delenv(f"SAFE_SQS_{key.upper()}", raising=False)
        patch.delenv("SAFE_SQS_CONFIG", raising=False)
        for name in ("safe-sqs.toml", "pyproject.toml"):
            Path(name).unlink(missing_ok=True)
        return Config()


def test_left_to_itself_it_is_the_baseline():
    left = Config()
    assert (left.profile, left.role, left.ttl_seconds, left.event_source) == (Profile.BASELINE, None, 300.0, Mode.WARN)
    for key in ALL_KEYS.keys() - {"profile", "role", "ttl_seconds", "event_source", "modes", "levels"}:
        assert getattr(left, key) == ()


@pytest.mark.parametrize(
    "text", ["warn", "  warn ", f"{ARN}=warn", f"{ARN} = warn , arn:aws:sqs:*:*:x=enforce", "*=warn", "enforce"]
)
def test_when_unverifiable_in_the_environment_is_a_mode_or_patterns(text, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_WHEN_UNVERIFIABLE", text)
    expected = Mode.ENFORCE if text == "enforce" else Mode.WARN
    assert Config().mode_when_unverifiable(ARN) is expected


def test_the_enums_and_records_of_the_package_are_values_too():
    held = Config(
        profile=Profile.OBSERVE,
        role=Role.CONSUMER,
        modes=[("public-access", Mode.ENFORCE)],
        levels=(("static-credentials", "renewing"),),
        exemptions=[Exemption(ARN, "public-access", "why", UNTIL)],
        when_unverifiable=Mode.WARN,
    )
    assert held.mode("public-access") is Mode.ENFORCE
    assert held.mode("https-endpoint") is Mode.WARN
    assert held.level("static-credentials") == "renewing"
    assert held.exemptions[0].until == UNTIL
    assert held.when_unverifiable == (("*", Mode.WARN),)


def test_generators_are_lists():
    assert Config(trusted_accounts=iter([ACCOUNT, OTHER])).trusted_accounts == (ACCOUNT, OTHER)


# --- precedence --------------------------------------------------------------------------------------------------


def three_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("safe-sqs.toml"), 'ttl_seconds = 30\nprofile = "strict"\nrole = "producer"')
    monkeypatch.setenv("SAFE_SQS_TTL_SECONDS", "20")
    monkeypatch.setenv("SAFE_SQS_PROFILE", "observe")


def test_code_is_before_the_environment_and_the_environment_before_the_file(monkeypatch):
    three_sources(monkeypatch)
    held = Config(ttl_seconds=10)
    assert (held.ttl_seconds, held.profile, held.role) == (10.0, Profile.OBSERVE, Role.PRODUCER)


@pytest.mark.parametrize("key", ALL_KEYS)
def test_each_key_in_code_is_before_the_environment(key, speakers, monkeypatch):
    other = {
        "profile": "local",
        "role": "consumer",
        "ttl_seconds": "7",
        "exemptions": "[]",
        "when_unverifiable": "enforce",
        "modes": "https-endpoint=off,vpc-route=off",
        "levels": "queue-encryption=kms",
        "verify_queues": f"{URL}-2",
        "event_source": "off",
        "trusted_accounts": "777788889999",
        "trusted_endpoint_hosts": "other.internal",
        "vpcs": "vpc-9",
        "vpc_endpoints": "vpce-9",
    }
    monkeypatch.setenv(f"SAFE_SQS_{key.upper()}", other[key])
    from_environment = getattr(Config(), key)
    arguments, _ = speakers["code"](key)
    from_code = getattr(Config(**arguments), key)
    monkeypatch.delenv(f"SAFE_SQS_{key.upper()}")
    assert from_code == getattr(Config(**arguments), key)
    assert from_code != from_environment


def test_modes_and_levels_are_merged_rule_by_rule(monkeypatch):
    write(
        Path("safe-sqs.toml"),
        '[modes]\nhttps-endpoint = "off"\ntls-verification = "off"\nendpoint-host = "off"\n'
        '[levels]\nqueue-encryption = "kms"\nstatic-credentials = "renewing"',
    )
    monkeypatch.setenv("SAFE_SQS_MODES", "tls-verification=warn,endpoint-host=warn")
    monkeypatch.setenv("SAFE_SQS_LEVELS", "static-credentials=temporary")
    held = Config(modes={"endpoint-host": "enforce"}, levels={"queue-encryption": "any"})
    assert [held.mode(rule) for rule in ("https-endpoint", "tls-verification", "endpoint-host")] == [
        Mode.OFF,
        Mode.WARN,
        Mode.ENFORCE,
    ]
    assert held.mode("public-access") is Mode.ENFORCE
    assert (held.level("queue-encryption"), held.level("static-credentials")) == ("any", "temporary")


def test_other_lists_are_replaced_and_not_merged(monkeypatch):
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ACCOUNTS", ACCOUNT)
    assert Config(trusted_accounts=[OTHER]).trusted_accounts == (OTHER,)
    assert Config(trusted_accounts=[]).trusted_accounts == ()


def test_the_named_file_is_before_the_files_of_the_working_directory(monkeypatch, tmp_path):
    write(Path("safe-sqs.toml"), "ttl_seconds = 30")
    monkeypatch.setenv("SAFE_SQS_CONFIG", str(write(tmp_path / "x.toml", 'profile = "strict"')))
    assert (Config().ttl_seconds, Config().profile) == (300.0, Profile.STRICT)


def test_safe_sqs_toml_is_before_pyproject_toml():
    write(Path("pyproject.toml"), "[tool.safe-sqs]\nttl_seconds = 40")
    assert Config().ttl_seconds == 40
    write(Path("safe-sqs.toml"), "ttl_seconds = 30")
    assert Config().ttl_seconds == 30


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[project]\nname = "safe-sqs-user"',
        '[project]\ndependencies = ["safe-sqs"]\n[tool.ruff]\nline-length = 100',
        "[this is no TOML, and no matter",
    ],
)
def test_a_pyproject_toml_of_somebody_else_is_left_alone(text):
    write(Path("pyproject.toml"), text)
    assert Config() == _without_sources()


def test_the_environment_and_the_files_are_read_anew_each_time(monkeypatch):
    monkeypatch.setenv("SAFE_SQS_TTL_SECONDS", "20")
    before = Config()
    monkeypatch.setenv("SAFE_SQS_TTL_SECONDS", "30")
    assert (before.ttl_seconds, Config().ttl_seconds) == (20.0, 30.0)


def test_a_guarded_client_takes_the_configuration_of_the_process(make_raw, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_TTL_SECONDS", "a while")
    with pytest.raises(ConfigError):
        guard(make_raw())


# --- errors ------------------------------------------------------------------------------------------------------

# key as the error names it: what is said in code, a part of the problem
WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "profile",
        {"profile": "strickt"},
        "'strickt' is none of baseline, strict, observe, local; did you mean 'strict'?",
    ),
    ("profile", {"profile": "xyzzy"}, "'xyzzy' is none of baseline, strict, observe, local"),
    ("profile", {"profile": 5}, "5 is none of"),
    ("profile", {"profile": ["strict"]}, "is none of"),
    ("profile", {"profile": ""}, "'' is none of"),
    ("role", {"role": "produce"}, "did you mean 'producer'?"),
    ("role", {"role": "admin"}, "'admin' is none of producer, consumer, administrator"),
    ("modes", {"modes": "warn"}, "is not a mapping"),
    ("modes", {"modes": 5}, "is not a mapping"),
    ("modes", {"modes": ["public-access"]}, "is not a mapping"),
    ("modes.public-acces", {"modes": {"public-acces": "warn"}}, "did you mean 'public-access'?"),
    ("modes.*", {"modes": {"*": "off"}}, "there is no rule '*'"),
    ("modes.public-access", {"modes": {"public-access": "warning"}}, "did you mean 'warn'?"),
    ("modes.public-access", {"modes": {"public-access": False}}, "False is none of enforce, warn, off"),
    ("modes.public-access", {"modes": {"public-access": None}}, "None is none of enforce, warn, off"),
    ("modes.5", {"modes": {5: "warn"}}, "there is no rule 5"),
    ("levels", {"levels": "kms"}, "is not a mapping"),
    ("levels.queue-encription", {"levels": {"queue-encription": "kms"}}, "did you mean 'queue-encryption'?"),
    ("levels.queue-encryption", {"levels": {"queue-encryption": "KMS"}}, "'KMS' is none of any, kms, customer-key"),
    ("levels.queue-encryption", {"levels": {"queue-encryption": None}}, "None is none of any, kms, customer-key"),
    ("levels.public-access", {"levels": {"public-access": "kms"}}, "the rule has no levels"),
    ("ttl_seconds", {"ttl_seconds": 0}, "0 is not a number of seconds from 1 to 86400"),
    ("ttl_seconds", {"ttl_seconds": -1}, "-1 is not a number"),
    ("ttl_seconds", {"ttl_seconds": 0.99}, "0.99 is not a number"),
    ("ttl_seconds", {"ttl_seconds": 86_401}, "86401 is not a number"),
    ("ttl_seconds", {"ttl_seconds": float("nan")}, "nan is not a number"),
    ("ttl_seconds", {"ttl_seconds": float("inf")}, "inf is not a number"),
    ("ttl_seconds", {"ttl_seconds": True}, "True is not a number"),
    ("ttl_seconds", {"ttl_seconds": "60"}, "'60' is not a number"),
    ("trusted_accounts", {"trusted_accounts": ACCOUNT}, "is not a list"),
    ("trusted_accounts", {"trusted_accounts": 5}, "is not a list"),
    ("trusted_accounts", {"trusted_accounts": {ACCOUNT: True}}, "is not a list"),
    ("trusted_accounts", {"trusted_accounts": ["11112222333"]}, "'11112222333' is not a 12-digit account id"),
    ("trusted_accounts", {"trusted_accounts": [111122223333]}, "111122223333 is not a 12-digit account id"),
    ("trusted_accounts", {"trusted_accounts": ["*"]}, "'*' is not a 12-digit account id"),
    ("trusted_accounts", {"trusted_accounts": [f"{ACCOUNT}\n"]}, "is not a 12-digit account id"),
    ("trusted_accounts", {"trusted_accounts": ["\u0661" * 12]}, "is not a 12-digit account id"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": "localhost"}, "is not a list"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": ["http://localhost"]}, "is not a host or host:port"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": ["*"]}, "is not a host or host:port"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": ["*.internal"]}, "is not a host or host:port"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": ["localhost:port"]}, "is not a host or host:port"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": ["localhost/path"]}, "is not a host or host:port"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": [""]}, "is not a host or host:port"),
    ("trusted_endpoint_hosts", {"trusted_endpoint_hosts": ["::1"]}, "is not a host or host:port"),
    ("vpcs", {"vpcs": ["vpce-0a1b"]}, "is not the id of a VPC (vpc-...)"),
    ("vpcs", {"vpcs": ["vpc-*"]}, "is not the id of a VPC (vpc-...)"),
    ("vpc_endpoints", {"vpc_endpoints": ["vpc-0a1b"]}, "is not the id of a VPC endpoint (vpce-...)"),
    ("verify_queues", {"verify_queues": ["orders"]}, "'orders' is not a queue URL"),
    ("verify_queues", {"verify_queues": [ARN]}, "is not a queue URL"),
    ("verify_queues", {"verify_queues": URL}, "is not a list"),
    ("event_source", {"event_source": "refuse"}, "'refuse' is none of enforce, warn, off"),
    ("when_unverifiable", {"when_unverifiable": {"orders": "warn"}}, "'orders' is not a queue ARN"),
    ("when_unverifiable", {"when_unverifiable": {URL: "warn"}}, "is not a queue ARN"),
    ("when_unverifiable", {"when_unverifiable": {5: "warn"}}, "5 is not a queue ARN"),
    ("when_unverifiable", {"when_unverifiable": 5}, "5 is not a mapping"),
    ("when_unverifiable.*", {"when_unverifiable": "ignore"}, "'ignore' is none of enforce, warn, off"),
    ("when_unverifiable.*", {"when_unverifiable": "off"}, "'off' would hide queues that nobody judged; use 'warn'"),
    (f"when_unverifiable.{ARN}", {"when_unverifiable": {ARN: Mode.OFF}}, "use 'warn'"),
]


@pytest.mark.parametrize(("key", "arguments", "problem"), WRONG)
def test_a_wrong_value_names_the_key_and_the_source(key, arguments, problem):
    with pytest.raises(ConfigError) as caught:
        Config(**arguments)
    error = caught.value
    assert (error.key, error.source) == (key, "code")
    assert problem in error.problem
    assert str(error) == f"safe_sqs configuration: {key} (code): {error.problem}"


def test_a_config_error_is_a_guard_error_and_pickles():
    error = pickle.loads(pickle.dumps(ConfigError("profile", "code", "is wrong")))
    assert isinstance(error, GuardError)
    assert (error.key, error.source, error.problem) == ("profile", "code", "is wrong")
    assert str(error) == "safe_sqs configuration: profile (code): is wrong"


def test_code_cannot_say_an_unknown_key():
    with pytest.raises(TypeError, match="porfile"):
        Config(porfile="strict")


def exemption(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (EXEMPTION | changes).items() if value is not None}


NO_EXEMPTION: list[tuple[str, Any, str]] = [
    ("exemptions", {ARN: "tls-only-policy"}, "is not a list"),
    ("exemptions", "all", "is not a list"),
    ("exemptions", 5, "is not a list"),
    ("exemptions[0]", ["all"], "is not a table with queue, rule, reason, until"),
    ("exemptions[0].owner", [exemption(owner="me")], "is not a setting"),
    ("exemptions[0].untill", [exemption(untill="x")], "did you mean 'until'?"),
    ("exemptions[0].queue", [exemption(queue=None)], "is missing"),
    ("exemptions[0].rule", [exemption(rule=None)], "is missing"),
    ("exemptions[0].reason", [exemption(reason=None)], "is missing"),
    ("exemptions[0].reason", [exemption(reason="")], "is missing"),
    ("exemptions[0].until", [exemption(until=None)], "is missing"),
    ("exemptions[0].until", [exemption(until="")], "is missing"),
    ("exemptions[1].until", [EXEMPTION, exemption(until=None)], "is missing"),
    ("exemptions[0].rule", [exemption(rule="tls-only")], "did you mean 'tls-only-policy'?"),
    ("exemptions[0].rule", [exemption(rule="*")], "there is no rule '*'"),
    ("exemptions[0].rule", [exemption(rule=["public-access"])], "there is no rule"),
    ("exemptions[0].rule", [exemption(rule="https-endpoint")], "https-endpoint judges no queue; set its mode instead"),
    ("exemptions[0].queue", [exemption(queue="orders")], "'orders' is not a queue ARN"),
    ("exemptions[0].queue", [exemption(queue=URL)], "is not a queue ARN"),
    ("exemptions[0].queue", [exemption(queue=5)], "5 is not a queue ARN"),
    ("exemptions[0].until", [exemption(until="never")], "'never' is not a day, such as 2030-01-31"),
    ("exemptions[0].until", [exemption(until=20301231)], "is not a day"),
    ("exemptions[0].until", [exemption(until="2026-02-30")], "is not a day"),
    ("exemptions[0].until", [exemption(until=TODAY - timedelta(1))], "the exemption expired on 2026-11-23"),
    ("exemptions[0].until", [exemption(until="2020-01-01")], "the exemption expired on 2020-01-01"),
    ("exemptions[0].until", [exemption(until=TODAY + timedelta(367))], "an exemption has to end"),
    ("exemptions[0].until", [exemption(until="9999-12-31")], "9999-12-31 is further away than a year"),
]


@pytest.mark.parametrize(("key", "value", "problem"), NO_EXEMPTION)
def test_an_exemption_is_named_narrow_and_dated(key, value, problem):
    with pytest.raises(ConfigError) as caught:
        Config(exemptions=value)
    assert (caught.value.key, caught.value.source) == (key, "code")
    assert problem in caught.value.problem


@pytest.mark.parametrize("days", [0, 1, 366])
def test_an_exemption_holds_from_today_to_a_year_ahead(days):
    until = TODAY + timedelta(days)
    assert Config(exemptions=[exemption(until=until)]).exemptions[0].until == until


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.name)
def test_there_are_exemptions_from_queue_rules_only(rule):
    if rule.subject is Subject.QUEUE:
        assert Config(exemptions=[exemption(rule=rule.name)]).exemptions[0].rule == rule.name
    else:
        with pytest.raises(ConfigError, match="judges no queue"):
            Config(exemptions=[exemption(rule=rule.name)])


@pytest.mark.parametrize(
    ("variable", "text", "key", "problem"),
    [
        ("PROFILE", "strickt", "profile", "did you mean 'strict'?"),
        ("PROFILE", "", "profile", "'' is none of"),
        ("ROLE", "admin", "role", "is none of"),
        ("TTL_SECONDS", "five minutes", "ttl_seconds", "'five minutes' is not a number of seconds"),
        ("TTL_SECONDS", "", "ttl_seconds", "'' is not a number of seconds"),
        ("TTL_SECONDS", "0", "ttl_seconds", "0.0 is not a number of seconds from 1 to 86400"),
        ("TTL_SECONDS", "nan", "ttl_seconds", "nan is not a number"),
        ("MODES", "public-access", "modes", "'public-access' is not of the form NAME=VALUE,NAME=VALUE"),
        ("MODES", "=warn", "modes", "is not of the form"),
        ("MODES", "public-access=", "modes", "is not of the form"),
        ("MODES", "public-access=warn;vpc-route=off", "modes.public-access=warn;vpc-route", "there is no rule"),
        ("MODES", "public-acces=warn", "modes.public-acces", "did you mean 'public-access'?"),
        ("LEVELS", "queue-encryption=kms-key", "levels.queue-encryption", "is none of any, kms, customer-key"),
        ("TRUSTED_ACCOUNTS", "1234", "trusted_accounts", "'1234' is not a 12-digit account id"),
        ("TRUSTED_ACCOUNTS", f"{ACCOUNT};{OTHER}", "trusted_accounts", "is not a 12-digit account id"),
        ("TRUSTED_ENDPOINT_HOSTS", "https://localhost", "trusted_endpoint_hosts", "is not a host or host:port"),
        ("VPCS", "any", "vpcs", "is not the id of a VPC"),
        ("VPC_ENDPOINTS", "any", "vpc_endpoints", "is not the id of a VPC endpoint"),
        ("EXEMPTIONS", "none", "exemptions", "is not a JSON list of objects"),
        ("EXEMPTIONS", "{}", "exemptions", "is not a list"),
        ("EXEMPTIONS", '["x"]', "exemptions[0]", "is not a table"),
        ("EXEMPTIONS", json.dumps([exemption(until="2020-01-01")]), "exemptions[0].until", "expired on 2020-01-01"),
        ("EXEMPTIONS", json.dumps([exemption(rule=["x"])]), "exemptions[0].rule", "there is no rule"),
        ("WHEN_UNVERIFIABLE", "ignore", "when_unverifiable.*", "is none of"),
        ("WHEN_UNVERIFIABLE", "orders=warn", "when_unverifiable", "'orders' is not a queue ARN"),
        ("WHEN_UNVERIFIABLE", f"{ARN}=", "when_unverifiable", "is not of the form"),
        ("VERIFY_QUEUES", "orders", "verify_queues", "'orders' is not a queue URL"),
    ],
)
def test_a_wrong_value_in_the_environment_names_the_variable(variable, text, key, problem, monkeypatch):
    monkeypatch.setenv(f"SAFE_SQS_{variable}", text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert (caught.value.key, caught.value.source) == (key, f"environment variable SAFE_SQS_{variable}")
    assert problem in caught.value.problem


@pytest.mark.parametrize("variable", [f"SAFE_SQS_{key.upper()}" for key in WRONG[0][1]])
def test_a_wrong_value_in_the_environment_counts_even_where_code_says_better(variable, monkeypatch):
    monkeypatch.setenv(variable, "nonsense")
    with pytest.raises(ConfigError):
        Config(profile="strict")


@pytest.mark.parametrize(
    ("variable", "suggestion"),
    [
        ("SAFE_SQS_PROFIL", "did you mean 'SAFE_SQS_PROFILE'?"),
        ("SAFE_SQS_TTL", None),
        ("SAFE_SQS_", None),
        ("SAFE_SQS_TRUSTED_ACCOUNT", "did you mean 'SAFE_SQS_TRUSTED_ACCOUNTS'?"),
        ("SAFE_SQS_VERIFY_QUEUE", "did you mean 'SAFE_SQS_VERIFY_QUEUES'?"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_it(variable, suggestion, monkeypatch):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError) as caught:
        Config()
    assert (caught.value.key, caught.value.source) == (variable, "environment")
    assert "is not a setting" in caught.value.problem
    assert suggestion is None or suggestion in caught.value.problem


def test_other_variables_are_nobodys_business(monkeypatch):
    monkeypatch.setenv("SAFE_SQSPROFILE", "x")
    monkeypatch.setenv("MY_SAFE_SQS_PROFILE", "x")
    assert Config().profile is Profile.BASELINE


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ('porfile = "strict"', "porfile", "is not a setting; did you mean 'profile'?"),
        ("xyzzy = 1", "xyzzy", "is not a setting"),
        ("[tool.safe-sqs]\nttl_seconds = 1", "tool", "is not a setting"),
        ('profile = "strickt"', "profile", "did you mean 'strict'?"),
        ("ttl_seconds = true", "ttl_seconds", "True is not a number of seconds"),
        ('ttl_seconds = "60"', "ttl_seconds", "'60' is not a number of seconds"),
        ('modes = "warn"', "modes", "is not a mapping"),
        ('[modes]\npublic-access = "maybe"', "modes.public-access", "is none of"),
        ("trusted_accounts = [111122223333]", "trusted_accounts", "is not a 12-digit account id"),
        (f'trusted_accounts = {{"{ACCOUNT}" = true}}', "trusted_accounts", "is not a list"),
        (f"[[exemptions]]\nqueue = '{ARN}'", "exemptions[0].rule", "is missing"),
        (
            f"[[exemptions]]\nqueue = '{ARN}'\nrule = 'tls-only-policy'\nreason = 'x'\nuntil = 2020-01-01",
            "exemptions[0].until",
            "the exemption expired on 2020-01-01",
        ),
        (
            f"[[exemptions]]\nqueue = '{ARN}'\nrule = 'tls-only-policy'\nreason = 'x'\nuntil = 2099-01-01T00:00:00Z",
            "exemptions[0].until",
            "is not a day",
        ),
        (
            f"[[exemptions]]\nqueue = '{ARN}'\nrule = ['tls-only-policy']\nreason = 'x'\nuntil = 2099-01-01",
            "exemptions[0].rule",
            "there is no rule",
        ),
        ("profile = ", "file", "is not TOML"),
        ("profile", "file", "is not TOML"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_wrong_file_is_named_with_the_key(text, key, problem, named, monkeypatch, tmp_path):
    path = write(tmp_path / "named.toml" if named else Path("safe-sqs.toml"), text)
    if named:
        monkeypatch.setenv("SAFE_SQS_CONFIG", str(path))
    with pytest.raises(ConfigError) as caught:
        Config()
    assert (caught.value.key, caught.value.source) == (key, f"file {path}")
    assert problem in caught.value.problem


def test_a_file_that_is_not_utf_8_is_an_error():
    Path("safe-sqs.toml").write_bytes(b'role = "\xff"')
    with pytest.raises(ConfigError, match="is not TOML"):
        Config()


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("[tool.safe-sqs]\nporfile = 'strict'", "porfile", "did you mean 'profile'?"),
        ("[tool.safe-sqs]\nttl_seconds = 0", "ttl_seconds", "is not a number of seconds"),
        ("[tool]\nsafe-sqs = 5", "safe-sqs", "is not a table"),
        ("[tool]\nsafe-sqs = 'strict'", "safe-sqs", "is not a table"),
        ("tool = 'safe-sqs'", "tool", "is not a table"),
    ],
)
def test_a_wrong_table_in_pyproject_toml_is_named_with_the_key(text, key, problem):
    write(Path("pyproject.toml"), text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert caught.value.key.removeprefix("tool.") == key
    assert caught.value.source.startswith("file pyproject.toml")
    assert problem in caught.value.problem


def test_a_pyproject_toml_that_speaks_of_the_guard_has_to_be_toml():
    write(Path("pyproject.toml"), "[tool.safe-sqs\nttl_seconds = 1")
    with pytest.raises(ConfigError, match=r"file pyproject\.toml\): is not TOML"):
        Config()


@pytest.mark.parametrize("named", ["nowhere.toml", "", "."])
def test_a_named_file_has_to_be_there(named, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_CONFIG", named)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert (caught.value.key, caught.value.source) == ("SAFE_SQS_CONFIG", "environment")
    assert caught.value.problem.startswith("there is no file ")


def test_a_file_that_cannot_be_read_is_an_error_and_not_a_missing_file(monkeypatch):
    path = write(Path("safe-sqs.toml"), 'profile = "strict"')

    def not_allowed(self: Path, **_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", not_allowed)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert str(caught.value) == f"safe_sqs configuration: file (file {path}): cannot be read: Permission denied"


# --- the record --------------------------------------------------------------------------------------------------

FULL = {key: value for key, (value, *_) in ALL_KEYS.items()}


@pytest.mark.parametrize("name", [*ALL_KEYS, "something_new"])
def test_it_is_frozen(name):
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        setattr(Config(), name, "strict")


def test_equal_settings_are_equal_and_have_one_hash():
    assert Config(**FULL) == Config(**FULL)
    assert hash(Config(**FULL)) == hash(Config(**FULL))
    assert Config(**FULL) != Config()
    assert len({Config(), Config(), Config(profile="strict")}) == 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles(protocol):
    assert pickle.loads(pickle.dumps(Config(**FULL), protocol)) == Config(**FULL)


def test_it_pickles_what_it_was_and_not_what_the_environment_is(monkeypatch):
    pickled = pickle.dumps(Config(ttl_seconds=20))
    monkeypatch.setenv("SAFE_SQS_PROFILE", "observe")
    assert pickle.loads(pickled).profile is Profile.BASELINE


def test_one_setting_is_replaced():
    before = Config(**FULL)
    after = dataclasses.replace(before, ttl_seconds=10)
    assert after.ttl_seconds == 10
    assert dataclasses.replace(after, ttl_seconds=before.ttl_seconds) == before
    with pytest.raises(ConfigError):
        dataclasses.replace(before, ttl_seconds=0)


def test_a_rule_that_does_not_exist_has_no_mode():
    with pytest.raises(KeyError):
        Config().mode("no-such-rule")


def test_a_rule_without_levels_has_the_empty_level():
    assert Config().level("public-access") == ""


def test_every_rule_has_a_mode_and_every_rule_with_levels_a_level():
    assert [name for name, _ in Config().modes] == [rule.name for rule in ALL_RULES]
    assert [name for name, _ in Config().levels] == [rule.name for rule in ALL_RULES if rule.levels]


@pytest.mark.parametrize(
    ("setting", "arn", "mode"),
    [
        ({}, ARN, Mode.ENFORCE),
        ("warn", ARN, Mode.WARN),
        ("warn", "", Mode.WARN),
        ({"arn:aws:sqs:*:*:*": "warn"}, ARN, Mode.WARN),
        ({"arn:aws:sqs:*:*:*": "warn"}, "", Mode.ENFORCE),
        ({f"arn:aws:sqs:*:{OTHER}:*": "warn"}, ARN, Mode.ENFORCE),
        ({ARN: "enforce", "*": "warn"}, ARN, Mode.ENFORCE),
        ({ARN: "enforce", "*": "warn"}, f"{ARN}-2", Mode.WARN),
        ({"*": "warn", ARN: "enforce"}, ARN, Mode.WARN),
    ],
)
def test_the_first_pattern_that_fits_decides_about_unverifiable_queues(setting, arn, mode):
    assert Config(when_unverifiable=setting).mode_when_unverifiable(arn) is mode


@pytest.mark.parametrize(
    ("rule", "arn", "day", "counts"),
    [
        ("tls-only-policy", ARN, TODAY, True),
        ("tls-only-policy", ARN, UNTIL, True),
        ("tls-only-policy", ARN, UNTIL + timedelta(1), False),
        ("public-access", ARN, TODAY, False),
        ("tls-only-policy", f"{ARN}-2", TODAY, False),
        ("tls-only-policy", "", TODAY, False),
    ],
)
def test_an_exemption_counts_for_its_rule_its_queues_and_its_days(rule, arn, day, counts):
    assert (Config(exemptions=[EXEMPTION]).exemption(rule, arn, day) is not None) is counts


# --- profiles ----------------------------------------------------------------------------------------------------

ENFORCED_BY_BASELINE = {
    "https-endpoint",
    "tls-verification",
    "endpoint-host",
    "static-credentials",
    "queue-encryption",
    "public-access",
    "dead-letter-queue",
    "role-operations",
}
WARNED_BY_BASELINE = {"tls-only-policy", "least-privilege"}
LOWEST = {"queue-encryption": "any", "static-credentials": "temporary"}


def in_mode(held: Config, mode: Mode) -> set[str]:
    return {name for name, each in held.modes if each is mode}


@pytest.mark.parametrize("profile", ["baseline", "local"])
def test_the_baseline_and_the_local_profile(profile):
    held = Config(profile=profile)
    assert in_mode(held, Mode.ENFORCE) == ENFORCED_BY_BASELINE
    assert in_mode(held, Mode.WARN) == WARNED_BY_BASELINE
    assert in_mode(held, Mode.OFF) == {"vpc-only-policy", "vpc-route"}
    assert dict(held.levels) == LOWEST


def test_the_strict_profile_enforces_everything_at_higher_levels():
    held = Config(profile="strict")
    assert in_mode(held, Mode.ENFORCE) == set(RULES_BY_NAME)
    assert dict(held.levels) == {"queue-encryption": "kms", "static-credentials": "renewing"}


def test_the_observe_profile_warns_of_everything():
    held = Config(profile="observe")
    assert in_mode(held, Mode.WARN) == set(RULES_BY_NAME)
    assert dict(held.levels) == LOWEST


@pytest.mark.parametrize("profile", Profile)
def test_only_the_local_profile_calls_loopback_safe(profile):
    assert Config(profile=profile).loopback_is_safe is (profile is Profile.LOCAL)


@pytest.mark.parametrize("profile", Profile)
def test_single_rules_differ_from_the_profile_where_somebody_says_so(profile):
    held = Config(profile=profile, modes={"public-access": "off"}, levels={"queue-encryption": "customer-key"})
    plain = Config(profile=profile)
    assert dict(held.modes) == dict(plain.modes) | {"public-access": Mode.OFF}
    assert dict(held.levels) == dict(plain.levels) | {"queue-encryption": "customer-key"}


# --- the organisation's file -------------------------------------------------------------------------------------


@pytest.fixture
def organisation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Write the organisation's file, or several of them."""

    def set_floor(*texts: str) -> Path:
        paths = tuple(write(tmp_path / f"organisation-{number}.toml", text) for number, text in enumerate(texts))
        monkeypatch.setattr(sources, "ORGANISATION_FILES", (*paths, tmp_path / "not-there.toml"))
        return paths[0]

    return set_floor


def toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def environment_text(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, list):
        return json.dumps(value) if key == "exemptions" else ",".join(value)
    return str(value)


def say(source: str, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[dict[str, Any], str]:
    """Say settings in one source; gives the arguments for Config and what errors call the source."""
    if source == "code":
        return settings, "code"
    if source == "file":
        write(Path("safe-sqs.toml"), "\n".join(f"{key} = {toml(value)}" for key, value in settings.items()))
        return {}, "file safe-sqs.toml"
    for key, value in settings.items():
        monkeypatch.setenv(f"SAFE_SQS_{key.upper()}", environment_text(key, value))
    return {}, f"environment variable SAFE_SQS_{next(iter(settings)).upper()}"


OTHER_EXEMPTION = exemption(queue=f"{ARN}-2")

# the organisation's file, what is tighter or the same, what is looser, the key that the error names
LOCKS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "a profile": ('profile = "strict"', {"profile": "strict"}, {"profile": "baseline"}, "modes.vpc-route"),
    "a profile, one rule of it": (
        'profile = "baseline"',
        {"modes": {"tls-only-policy": "enforce"}},
        {"modes": {"tls-only-policy": "off"}},
        "modes.tls-only-policy",
    ),
    "a profile, the level of it": (
        'profile = "strict"',
        {"levels": {"queue-encryption": "customer-key"}},
        {"levels": {"queue-encryption": "any"}},
        "levels.queue-encryption",
    ),
    "a profile that does not trust loopback": (
        'profile = "baseline"',
        {"profile": "strict"},
        {"profile": "local"},
        "profile",
    ),
    "a mode": (
        'modes = {public-access = "enforce"}',
        {"modes": {"public-access": "enforce", "https-endpoint": "warn"}},
        {"modes": {"public-access": "warn"}},
        "modes.public-access",
    ),
    "a mode that warns": (
        'modes = {public-access = "warn"}',
        {"modes": {"public-access": "enforce"}},
        {"modes": {"public-access": "off"}},
        "modes.public-access",
    ),
    "a mode, and loopback under it": (
        'modes = {https-endpoint = "enforce"}',
        {"profile": "strict"},
        {"profile": "local"},
        "profile",
    ),
    "a level": (
        'levels = {queue-encryption = "kms"}',
        {"levels": {"queue-encryption": "customer-key"}},
        {"levels": {"queue-encryption": "any"}},
        "levels.queue-encryption",
    ),
    "a role": ('role = "producer"', {"role": "producer"}, {"role": "administrator"}, "role"),
    "a time to live": ("ttl_seconds = 60", {"ttl_seconds": 30}, {"ttl_seconds": 61}, "ttl_seconds"),
    "trusted hosts": (
        'trusted_endpoint_hosts = ["a.internal", "b.internal"]',
        {"trusted_endpoint_hosts": ["a.internal"]},
        {"trusted_endpoint_hosts": ["a.internal", "evil.example"]},
        "trusted_endpoint_hosts",
    ),
    "that only AWS is trusted": (
        'modes = {endpoint-host = "enforce"}',
        {"trusted_endpoint_hosts": []},
        {"trusted_endpoint_hosts": ["evil.example"]},
        "trusted_endpoint_hosts",
    ),
    "trusted accounts": (
        f'trusted_accounts = ["{ACCOUNT}", "{OTHER}"]',
        {"trusted_accounts": [ACCOUNT]},
        {"trusted_accounts": [ACCOUNT, "777788889999"]},
        "trusted_accounts",
    ),
    "trusted accounts, which none would switch off": (
        f'trusted_accounts = ["{ACCOUNT}"]',
        {"trusted_accounts": [ACCOUNT]},
        {"trusted_accounts": []},
        "trusted_accounts",
    ),
    "VPCs": ('vpcs = ["vpc-1", "vpc-2"]', {"vpcs": ["vpc-1"]}, {"vpcs": ["vpc-1", "vpc-9"]}, "vpcs"),
    "VPCs, which none would open": ('vpcs = ["vpc-1"]', {"vpcs": ["vpc-1"]}, {"vpcs": []}, "vpcs"),
    "VPCs, which an endpoint would go around": (
        'vpcs = ["vpc-1"]',
        {"vpcs": ["vpc-1"]},
        {"vpc_endpoints": ["vpce-9"]},
        "vpc_endpoints",
    ),
    "VPC endpoints": (
        'vpc_endpoints = ["vpce-1"]',
        {"vpc_endpoints": ["vpce-1"]},
        {"vpc_endpoints": ["vpce-9"]},
        "vpc_endpoints",
    ),
    "VPC endpoints, which a VPC would go around": (
        'vpc_endpoints = ["vpce-1"]',
        {"vpc_endpoints": ["vpce-1"]},
        {"vpcs": ["vpc-9"]},
        "vpcs",
    ),
    "exemptions from an enforced rule": (
        'modes = {tls-only-policy = "enforce"}',
        {"exemptions": []},
        {"exemptions": [EXEMPTION]},
        "exemptions",
    ),
    "exemptions beside its own": (
        f'profile = "strict"\nexemptions = [{toml(EXEMPTION)}]',
        {"exemptions": [EXEMPTION]},
        {"exemptions": [EXEMPTION, OTHER_EXEMPTION]},
        "exemptions",
    ),
    "what cannot be verified": (
        'when_unverifiable = "enforce"',
        {"when_unverifiable": "enforce"},
        {"when_unverifiable": "warn"},
        "when_unverifiable",
    ),
    "what cannot be verified, but for some queues": (
        f'when_unverifiable = {{"{ARN}" = "warn"}}',
        {"when_unverifiable": {ARN: "warn"}},
        {"when_unverifiable": {ARN: "warn", "*": "warn"}},
        "when_unverifiable",
    ),
    "what cannot be verified, by an enforced rule": (
        'modes = {public-access = "enforce"}',
        {"when_unverifiable": "enforce"},
        {"when_unverifiable": "warn"},
        "when_unverifiable",
    ),
    "that some queues are enforced before the others": (
        f'when_unverifiable = {{"{ARN}" = "enforce", "*" = "warn"}}',
        {"when_unverifiable": {ARN: "enforce", "*": "warn"}},
        {"when_unverifiable": {"*": "warn"}},
        "when_unverifiable",
    ),
    "the queues that are verified at start": (
        f'verify_queues = ["{URL}"]',
        {"verify_queues": [URL, f"{URL}-2"]},
        {"verify_queues": [f"{URL}-2"]},
        "verify_queues",
    ),
    "the queue that a function is handed messages of": (
        'event_source = "warn"',
        {"event_source": "enforce"},
        {"event_source": "off"},
        "event_source",
    ),
}


@pytest.mark.parametrize("source", ["code", "environment", "file"])
@pytest.mark.parametrize("lock", LOCKS)
def test_what_the_organisation_locks_can_be_tightened(lock, source, organisation, monkeypatch):
    text, tighter, _, _ = LOCKS[lock]
    organisation(text)
    arguments, _ = say(source, monkeypatch, **tighter)
    held = Config(**arguments)
    assert all(_holds(getattr(held, key), value) for key, value in tighter.items())


def _holds(held: Any, said: Any) -> bool:
    if isinstance(said, dict):
        return set(said.items()) <= {(name, getattr(value, "value", value)) for name, value in held}
    if isinstance(said, list):
        return len(held) == len(said)
    return bool(getattr(held, "value", held) == said) or bool(held == (("*", Mode(said)),))


@pytest.mark.parametrize("source", ["code", "environment", "file"])
@pytest.mark.parametrize("lock", LOCKS)
def test_what_the_organisation_locks_cannot_be_loosened(lock, source, organisation, monkeypatch):
    text, _, looser, key = LOCKS[lock]
    path = organisation(text)
    arguments, said_in = say(source, monkeypatch, **looser)
    with pytest.raises(ConfigError) as caught:
        Config(**arguments)
    assert (caught.value.key, caught.value.source) == (key, said_in)
    assert f"which the organisation locks (file {path})" in caught.value.problem


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_looser_than_a_lock_is_fine_without_it(lock):
    Config(**LOCKS[lock][2])


def test_every_key_can_be_locked():
    assert {key.partition(".")[0] for *_, key in LOCKS.values()} == set(ALL_KEYS)


@pytest.mark.parametrize("lock", LOCKS)
def test_what_the_organisation_says_holds_where_nobody_else_speaks(lock, organisation):
    text, *_ = LOCKS[lock]
    path = organisation(text)
    from_organisation = Config()
    path.unlink()
    write(Path("safe-sqs.toml"), text)
    assert from_organisation == Config()


def test_the_environment_cannot_switch_the_organisation_off(organisation, monkeypatch):
    organisation('profile = "strict"')
    monkeypatch.setenv("SAFE_SQS_CONFIG", str(write(Path("other.toml"), "ttl_seconds = 60")))
    assert Config().profile is Profile.STRICT
    assert Config().ttl_seconds == 60


def test_what_the_organisation_does_not_mention_is_not_locked(organisation):
    organisation("ttl_seconds = 60")
    held = Config(
        profile="observe",
        role="producer",
        trusted_accounts=[ACCOUNT],
        trusted_endpoint_hosts=["queue.internal"],
        exemptions=[EXEMPTION],
        when_unverifiable="warn",
        verify_queues=[URL],
    )
    assert (held.profile, held.role) == (Profile.OBSERVE, Role.PRODUCER)


def test_trusting_only_some_accounts_is_tighter_than_not_asking(organisation):
    organisation('profile = "strict"')
    assert Config(trusted_accounts=[ACCOUNT]).trusted_accounts == (ACCOUNT,)


def test_an_exemption_from_a_rule_that_is_not_locked_is_fine(organisation):
    organisation('modes = {public-access = "enforce", tls-only-policy = "warn"}')
    assert Config(exemptions=[EXEMPTION]).exemptions


def test_queues_may_go_unverified_where_only_other_rules_are_locked(organisation):
    organisation('modes = {https-endpoint = "enforce"}')
    assert Config(when_unverifiable="warn").mode_when_unverifiable(ARN) is Mode.WARN


def test_the_error_names_who_said_the_looser_value_and_not_who_said_another(organisation, monkeypatch):
    organisation('profile = "strict"')
    monkeypatch.setenv("SAFE_SQS_PROFILE", "baseline")
    with pytest.raises(ConfigError) as caught:
        Config(modes={"tls-only-policy": "enforce"})
    assert caught.value.source == "environment variable SAFE_SQS_PROFILE"


def test_the_error_names_the_source_of_this_rules_mode(organisation, monkeypatch):
    organisation('modes = {public-access = "enforce"}')
    monkeypatch.setenv("SAFE_SQS_MODES", "public-access=warn")
    with pytest.raises(ConfigError) as caught:
        Config(modes={"https-endpoint": "enforce"})
    assert caught.value.source == "environment variable SAFE_SQS_MODES"


def test_both_organisation_files_hold(organisation):
    organisation("ttl_seconds = 60", 'profile = "strict"')
    assert (Config().ttl_seconds, Config().profile) == (60.0, Profile.STRICT)
    for looser in ({"ttl_seconds": 61}, {"profile": "baseline"}):
        with pytest.raises(ConfigError, match="which the organisation locks"):
            Config(**looser)


def test_of_two_organisation_files_the_tighter_value_holds(organisation):
    organisation("ttl_seconds = 120", "ttl_seconds = 60")
    assert Config(ttl_seconds=60).ttl_seconds == 60
    with pytest.raises(ConfigError, match=r"120\.0 is looser than 60\.0"):
        Config(ttl_seconds=120)


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("profile = ", "file", "is not TOML"),
        ('porfile = "strict"', "porfile", "did you mean 'profile'?"),
        ('profile = "strickt"', "profile", "did you mean 'strict'?"),
        (f"exemptions = [{toml(exemption(until='2020-01-01'))}]", "exemptions[0].until", "expired on 2020-01-01"),
    ],
)
def test_a_wrong_organisation_file_is_an_error_that_names_it(text, key, problem, organisation):
    path = organisation(text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert (caught.value.key, caught.value.source) == (key, f"file {path}")
    assert problem in caught.value.problem


def test_the_organisations_files_are_where_only_an_administrator_writes(monkeypatch):
    monkeypatch.undo()
    assert [str(path) for path in sources.ORGANISATION_FILES] == [
        "/etc/safe-sqs/organisation.toml",
        "/opt/safe-sqs/organisation.toml",
    ]


def test_an_empty_organisation_file_locks_nothing(organisation):
    organisation("")
    assert Config(profile="local", when_unverifiable="warn").loopback_is_safe


def test_the_configuration_of_nobody_is_the_organisations_alone(organisation, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_PROFILE", "local")
    write(Path("safe-sqs.toml"), "ttl_seconds = 30")
    assert Config.of_nobody() == _without_sources()
    monkeypatch.setenv("SAFE_SQS_PROFILE", "local")
    organisation('profile = "strict"')
    assert Config.of_nobody().profile is Profile.STRICT


# --- Lambda ------------------------------------------------------------------------------------------------------


def test_lambda_is_known_by_its_function_name(monkeypatch):
    assert not config.running_in_lambda()
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    assert config.running_in_lambda()


def test_a_configuration_that_asks_about_some_rules_leaves_the_original_as_it_was():
    whole = Config(profile="strict")
    asked = config.asking_only(whole, {"public-access"})
    assert asked.mode("public-access") is Mode.ENFORCE
    assert asked.mode("queue-encryption") is Mode.OFF
    assert asked.mode("https-endpoint") is Mode.ENFORCE  # it judges no queue
    assert whole.mode("queue-encryption") is Mode.ENFORCE
    assert asked.levels == whole.levels
