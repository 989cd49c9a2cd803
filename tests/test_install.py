"""The switch for a whole process: whoever makes an SQS client, and wherever, gets a guarded one until it is ended."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import json
import multiprocessing.spawn
import os
import subprocess
import sys
import threading
import unittest.mock
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.client
import botocore.session
import pytest
import wrapt
from boto3 import client as client_of_boto3
from boto3 import resource as resource_of_boto3
from botocore.client import BaseClient
from support import LONG_TERM, REGION, TEMPORARY, new_core, new_session

import safe_sqs
from safe_sqs import Config, ConfigError, RefusedError, guard, sources
from safe_sqs.events import Noticed
from safe_sqs.guarded import guards_of
from safe_sqs.process_wide import installed

BODY = "a message that should not be there"
ELSEWHERE = {"region_name": "eu-north-1", **TEMPORARY}
"""For clients that a test looks for among all that other tests left behind."""

partial_of_boto3 = functools.partial(boto3.client, "sqs")


@pytest.fixture(autouse=True)
def switched_off() -> Iterator[None]:
    """No test leaves the switch on."""
    yield
    safe_sqs.uninstall()


@pytest.fixture
def surroundings(emulator, monkeypatch) -> None:
    """An environment that leads every client to the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(safe_sqs, "DEFAULT_SESSION", None)


def send(client, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody=BODY)


def refusal(client, queue: str) -> RefusedError:
    """The error with which a send is refused."""
    with pytest.raises(RefusedError) as caught:
        send(client, queue)
    return caught.value


def rules_of(error: RefusedError) -> list[str]:
    return [finding.rule for finding in error.findings]


def handlers_of(client, event: str = "before-sign.sqs.SendMessage") -> list[Any]:
    """The handlers of safe_sqs that listen to an event of a client."""
    handlers = client.meta.events._emitter._handlers.prefix_search(event)
    return [each for each in handlers if getattr(each, "__module__", "").startswith("safe_sqs")]


def is_guarded(client) -> bool:
    """True when a client has the handlers of one guard, False when it has none."""
    counts = {len(handlers_of(client, f"{event}.sqs.SendMessage")) for event in ("before-sign", "before-send")}
    assert counts in ({0}, {1})
    return counts == {1}


def run(folder: Path, program: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[Any]:
    """Run a program of its own with the environment of the test. Returns what it printed, line by line, as JSON."""
    file = folder / "program.py"
    file.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *flags, str(file), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- every road to a client ------------------------------------------------------------------------------------------


class OwnSession(boto3.session.Session):
    """A session of a program's own, as amazon-sqs-extended-client puts in the place of boto3's."""

    def client(self, *arguments: Any, **more: Any) -> Any:
        return super().client(*arguments, **more)


def by_the_creator_of_clients(core: Any) -> Any:
    """What `create_client` of botocore's session does, done by hand."""
    return botocore.client.ClientCreator(
        core.get_component("data_loader"),
        core.get_component("endpoint_resolver"),
        core.user_agent(),
        core.get_component("event_emitter"),
        retry_handler_factory=importlib.import_module("botocore.retryhandler"),
        retry_config_translator=importlib.import_module("botocore.translate"),
        response_parser_factory=core.get_component("response_parser_factory"),
        exceptions_factory=core.get_component("exceptions_factory"),
        config_store=core.get_component("config_store"),
    ).create_client(
        "sqs",
        REGION,
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        verify=os.environ["AWS_CA_BUNDLE"],
        credentials=core.get_credentials(),
    )


def by_the_constructor(core: Any) -> Any:
    """A client of the class of another, made with the same arguments."""
    kept: dict[str, Any] = {}

    class Keeps:
        def __init__(self, **arguments: Any) -> None:
            kept.update(arguments)
            super().__init__(**arguments)

    core.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Keeps))
    return type(core.create_client("sqs"))(**kept)


def with_a_mixin(core: Any) -> Any:
    """A client whose class calls the constructor of its base by the name of that."""

    class Mixin(BaseClient):
        def __init__(self, **arguments: Any) -> None:
            BaseClient.__init__(self, **arguments)

    core.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Mixin))
    return core.create_client("sqs")


def as_a_copy(client: Any) -> Any:
    """A copy of a client; botocore's own cannot be copied in every version."""
    with suppress(RecursionError, TypeError):
        return copy.copy(client)
    twin = object.__new__(type(client))
    vars(twin).update(vars(client))
    return twin


def after_boto3_was_replaced() -> Any:
    """What `import sqs_extended_client` does."""
    theirs = boto3.session.Session
    boto3.session.Session = boto3.Session = OwnSession
    try:
        boto3.setup_default_session()
        return boto3.client("sqs")
    finally:
        boto3.session.Session = boto3.Session = theirs


def after_a_session_was_set_up() -> Any:
    boto3.setup_default_session(region_name=REGION)
    return boto3.DEFAULT_SESSION.client("sqs")


def in_a_thread(make: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


Road = Callable[[Any], Any]
ROADS: dict[str, Road] = {
    "boto3.client": lambda _: boto3.client("sqs"),
    "from boto3 import client": lambda _: client_of_boto3("sqs"),
    "a partial of boto3.client": lambda _: partial_of_boto3(),
    "a session of boto3": lambda _: boto3.session.Session().client("sqs"),
    "a session made before": lambda before: before.session.client("sqs"),
    "a bound method taken before": lambda before: before.method("sqs"),
    "a subclass of Session": lambda _: OwnSession().client("sqs"),
    "boto3.session.Session replaced": lambda _: after_boto3_was_replaced(),
    "setup_default_session": lambda _: after_a_session_was_set_up(),
    "boto3._get_default_session": lambda _: boto3._get_default_session().client("sqs"),
    "boto3.resource": lambda _: boto3.resource("sqs").meta.client,
    "from boto3 import resource": lambda _: resource_of_boto3("sqs").meta.client,
    "the client of a queue": lambda _: boto3.resource("sqs").Queue("https://example.test/1/q").meta.client,
    "a resource of a session made before": lambda before: before.session.resource("sqs").meta.client,
    "botocore.session.get_session": lambda _: botocore.session.get_session().create_client("sqs"),
    "botocore.session.Session": lambda _: botocore.session.Session().create_client("sqs"),
    "a session of botocore made before": lambda before: before.core.create_client("sqs"),
    "the session of botocore in a session": lambda before: before.session._session.create_client("sqs"),
    "botocore's ClientCreator": lambda before: by_the_creator_of_clients(before.core),
    "the constructor of the class": lambda before: by_the_constructor(before.core),
    "a class with a constructor of its own": lambda before: with_a_mixin(before.core),
    "a copy of a client": lambda _: as_a_copy(boto3.client("sqs")),
    "a thread": lambda _: in_a_thread(lambda: boto3.client("sqs")),
    "the drop-in": lambda _: safe_sqs.client("sqs"),
    "a resource of the drop-in": lambda _: safe_sqs.resource("sqs").meta.client,
    "a session of the drop-in made before": lambda before: before.drop_in.client("sqs"),
}


def made_before() -> Any:
    """What a program has made before the switch is on."""
    session = new_session()
    return SimpleNamespace(
        session=session, method=session.client, core=new_core(), drop_in=safe_sqs.Session(botocore_session=new_core())
    )


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("road", ROADS)
def test_by_every_road_a_client_is_guarded_and_guarded_once(emulator, good, bad, make_config, road):
    before = made_before()
    if "drop-in" not in road:
        send(ROADS[road](before), bad)  # without the switch nobody minds
    config = make_config(role="producer")
    safe_sqs.install(config)
    client = ROADS[road](before)
    arrived = emulator.arrived["SendMessage"]
    send(client, good)
    assert rules_of(refusal(client, bad)) == ["queue-encryption"]
    assert emulator.arrived["SendMessage"] == arrived + 1
    assert [each.config for each in guards_of(client)] == [config]
    assert is_guarded(client)


BEFORE_BOTO3 = """
import json, sys
import safe_sqs
good, bad, tests = sys.argv[1:]
safe_sqs.install()
assert not any(name.split(".")[0] in ("boto3", "botocore", "urllib3", "wrapt", "structlog") for name in sys.modules)

sys.path.insert(0, tests)
import test_install as t  # imports boto3
for name, road in t.ROADS.items():
    client = road(t.made_before())
    t.send(client, good)
    print(json.dumps([name, t.is_guarded(client), t.rules_of(t.refusal(client, bad))]))
"""


@pytest.mark.usefixtures("surroundings")
def test_by_every_road_a_client_is_guarded_when_boto3_is_imported_later(good, bad, tmp_path):
    printed = run(tmp_path, BEFORE_BOTO3, good, bad, str(Path(__file__).parent))
    assert printed == [[name, True, ["queue-encryption"]] for name in ROADS]


@pytest.mark.usefixtures("surroundings")
def test_a_model_of_sqs_under_another_name_is_sqs_all_the_same(bad, tmp_path, make_config):
    """As `aws configure add-model --service-name` stores it."""
    files = Path(botocore.__file__).parent / "data" / "sqs" / "2012-11-05"
    target = tmp_path / "sqs-next" / files.name
    target.mkdir(parents=True)
    for file in files.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    safe_sqs.install(make_config())
    core = botocore.session.Session()
    core.get_component("data_loader").search_paths.insert(0, str(tmp_path))
    refusal(core.create_client("sqs-next"), bad)


@pytest.mark.usefixtures("surroundings")
def test_clients_of_other_services_are_as_they_were(make_config):
    def handlers(client) -> list[str]:
        events = (
            "before-parameter-build",
            "before-call",
            "request-created",
            "before-sign",
            "before-send",
            "after-call",
        )
        found = client.meta.events._emitter._handlers.prefix_search
        return [repr(getattr(each, "__qualname__", type(each))) for event in events for each in found(f"{event}.sts.X")]

    core = new_core()
    before = core.create_client("sts")
    safe_sqs.install(make_config())
    after = core.create_client("sts")
    assert handlers(after) == handlers(before) != []
    assert vars(after.meta.events).keys() == vars(before.meta.events).keys()
    assert after.get_caller_identity()["Account"] == "123456789012"


def test_where_nobody_said_anything_a_client_is_guarded_all_the_same():
    """Long-term credentials to AWS are refused before a connection is opened."""
    safe_sqs.install()
    client = new_session(**LONG_TERM, region_name=REGION).client("sqs")
    assert is_guarded(client)
    assert rules_of(refusal(client, "https://sqs.us-east-1.amazonaws.com/123456789012/q")) == ["static-credentials"]
    assert is_guarded(client)


@pytest.mark.usefixtures("surroundings")
def test_the_drop_in_follows_the_installed_configuration(bad, make_config):
    safe_sqs.install(make_config(modes={"queue-encryption": "off"}))
    send(safe_sqs.client("sqs"), bad)
    safe_sqs.uninstall()
    refusal(safe_sqs.client("sqs"), bad)


@pytest.mark.usefixtures("surroundings")
def test_a_guard_put_on_by_hand_holds_together_with_the_installed_one(good, bad, make_config):
    safe_sqs.install(make_config(modes={"queue-encryption": "off"}, role="producer"))
    client = guard(boto3.client("sqs"), make_config())
    assert rules_of(refusal(client, bad)) == ["queue-encryption"]
    send(client, good)
    with pytest.raises(RefusedError) as caught:
        client.receive_message(QueueUrl=good)
    assert rules_of(caught.value) == ["role-operations"]


@pytest.mark.usefixtures("surroundings")
def test_queues_to_verify_are_judged_when_a_client_is_made(good, bad, make_config):
    safe_sqs.install(make_config(verify_queues=[good, bad]))
    with pytest.raises(RefusedError) as caught:
        boto3.client("sqs")
    assert rules_of(caught.value) == ["queue-encryption"]
    safe_sqs.install(make_config(verify_queues=[good]))
    send(boto3.client("sqs"), good)


# --- twice, and from many threads ------------------------------------------------------------------------------------


def test_installing_twice_is_installing_once(make_config):
    safe_sqs.install(make_config(role="producer"))
    wrapper = vars(BaseClient)["__init__"]
    finders = list(sys.meta_path)
    safe_sqs.install(make_config(role="producer"))
    assert vars(BaseClient)["__init__"] is wrapper
    assert sys.meta_path == finders
    assert is_guarded(new_session().client("sqs"))


def test_with_another_configuration_the_clients_made_afterwards_follow_that(make_config):
    first, second = make_config(role="producer"), make_config(role="consumer")
    safe_sqs.install(first)
    wrapper = vars(BaseClient)["__init__"]
    session = new_session()
    before = session.client("sqs")
    safe_sqs.install(second)
    after = session.client("sqs")
    assert [each.config for each in guards_of(before)] == [first]
    assert [each.config for each in guards_of(after)] == [second]
    assert vars(BaseClient)["__init__"] is wrapper


def test_many_threads_install_at_once(make_config, original):
    threads = 8
    barrier = threading.Barrier(threads)

    def install(_: int) -> None:
        barrier.wait()
        safe_sqs.install(make_config())

    finders = len(sys.meta_path)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(install, range(threads)))
    assert vars(BaseClient)["__init__"].__wrapped__ is original
    assert len(sys.meta_path) == finders + 2
    assert is_guarded(new_session().client("sqs"))


def test_installing_while_another_thread_makes_clients(make_config):
    session = new_session()
    stop, made = threading.Event(), threading.Semaphore(0)
    clients: list[Any] = []

    def make() -> None:
        while not stop.is_set():
            clients.append(session.client("sqs"))
            made.release()

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make)
        try:
            for _ in range(5):
                made.acquire(timeout=30)
                safe_sqs.install(make_config())
                made.acquire(timeout=30)
                safe_sqs.uninstall()
            safe_sqs.install(make_config())
            first = len(clients) + 1  # the one that is being made may have begun before
        finally:
            stop.set()
        making.result(timeout=60)
    assert {is_guarded(client) for client in clients} <= {True, False}
    assert all(is_guarded(client) for client in clients[first:])
    assert is_guarded(session.client("sqs"))


SLOW_IMPORT = """
import json, sys, threading
begun, go_on = threading.Event(), threading.Event()

class Slow:  # stands before all others, and waits in the midst of an import
    def __init__(self, loader=None):
        self.loader = loader
    def find_spec(self, name, path=None, target=None):
        if name != "botocore.client":
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1:]:
            if (spec := finder.find_spec(name, path, target)) is not None:
                spec.loader = Slow(spec.loader)
                return spec
    def create_module(self, spec):
        return self.loader.create_module(spec)
    def exec_module(self, module):
        begun.set()
        assert go_on.wait(30)
        self.loader.exec_module(module)

import botocore.session
import safe_sqs

def wrapped_after(first, then):
    del sys.modules["botocore.client"]
    begun.clear(), go_on.clear()
    first()
    importing = threading.Thread(target=__import__, args=("botocore.client",))
    importing.start()
    assert begun.wait(30)
    threading.Timer(0.2, go_on.set).start()
    then()
    importing.join()
    return hasattr(vars(sys.modules["botocore.client"].BaseClient)["__init__"], "__wrapped__")

import botocore.client
sys.meta_path.insert(0, Slow())
print(json.dumps(wrapped_after(lambda: None, safe_sqs.install)))
safe_sqs.uninstall()
print(json.dumps(wrapped_after(lambda: None, lambda: None)))
print(json.dumps(wrapped_after(safe_sqs.install, safe_sqs.uninstall)))
"""


def test_the_switch_is_turned_while_another_thread_imports_botocore(tmp_path):
    """Turned on, the class that comes of it is wrapped; turned off, it is not."""
    assert run(tmp_path, SLOW_IMPORT) == [True, False, False]


# --- no trace --------------------------------------------------------------------------------------------------------


@pytest.fixture
def original() -> Any:
    """The constructor of botocore's clients, as it is without the switch."""
    init = vars(BaseClient)["__init__"]
    assert inspect.isfunction(init)
    return init


def state() -> tuple[Any, ...]:
    """What the switch touches, to be compared by identity."""
    return (
        vars(BaseClient)["__init__"],
        vars(multiprocessing.spawn)["get_preparation_data"],
        *sys.meta_path,
    )


@pytest.mark.parametrize("times", [1, 3])
def test_uninstalling_leaves_no_trace(make_config, times):
    before, class_before, module_before = state(), dict(vars(BaseClient)), dict(vars(botocore.client))
    signature = inspect.signature(BaseClient.__init__)
    for _ in range(times):
        safe_sqs.install(make_config())
        assert installed()
        assert not any(now is then for now, then in zip(state()[:2], before, strict=False))
        assert inspect.signature(BaseClient.__init__) == signature
        safe_sqs.uninstall()
    assert not installed()
    assert all(now is then for now, then in zip(state(), before, strict=True))
    assert all(vars(BaseClient)[name] is value for name, value in class_before.items())
    assert vars(BaseClient).keys() == class_before.keys()
    assert all(vars(botocore.client)[name] is value for name, value in module_before.items())
    assert not is_guarded(new_session().client("sqs"))


@pytest.mark.usefixtures("surroundings")
def test_clients_that_are_guarded_stay_so_after_uninstalling(bad, make_config):
    safe_sqs.install(make_config())
    client = boto3.client("sqs")
    safe_sqs.uninstall()
    refusal(client, bad)
    send(boto3.client("sqs"), bad)


def test_uninstalling_twice_and_uninstalling_what_is_not_installed_do_nothing(make_config):
    before = state()
    safe_sqs.uninstall()
    safe_sqs.install(make_config())
    safe_sqs.uninstall()
    safe_sqs.uninstall()
    assert state() == before
    safe_sqs.install(make_config())
    assert is_guarded(new_session().client("sqs"))


NEVER_IMPORTED = """
import json, sys
import safe_sqs
finders = list(sys.meta_path)
safe_sqs.install()
safe_sqs.uninstall()
print(json.dumps([len(finders), sum(now is then for now, then in zip(sys.meta_path, finders, strict=True))]))
print(json.dumps([name for name in sys.modules if name.split(".")[0] in ("boto3", "botocore", "wrapt", "structlog")]))
from multiprocessing import spawn
import boto3, botocore.client
functions = botocore.client.BaseClient.__init__, spawn.get_preparation_data
print(json.dumps([function.__qualname__ for function in functions]))
print(json.dumps([hasattr(function, "__wrapped__") for function in functions]))
safe_sqs.install()
keys = dict(aws_access_key_id="AKIAEXAMPLEEXAMPLE02", aws_secret_access_key="s")
try:
    boto3.client("sqs", region_name="us-east-1", **keys).list_queues()
except safe_sqs.RefusedError:
    print('"refused"')
# Whoever looks at a module sees its own loader.
safe_sqs.uninstall()
safe_sqs.install()
del sys.modules["botocore.client"]
import botocore.client
spec = botocore.client.__spec__
print(json.dumps([type(spec.loader).__name__, spec.loader is botocore.client.__loader__]))
"""


def test_the_switch_is_turned_off_before_botocore_was_ever_imported(tmp_path):
    (finders, same), loaded, names, wrapped, refused, loader = run(tmp_path, NEVER_IMPORTED)
    assert finders == same
    assert loaded == []
    assert names == ["BaseClient.__init__", "get_preparation_data"]
    assert wrapped == [False, False]
    assert refused == "refused"
    assert loader == ["SourceFileLoader", True]


# --- among wrappers of others ----------------------------------------------------------------------------------------


def wrap_with_wrapt(seen: list[str]) -> Callable[[], None]:
    """Wrap the constructor of clients as an instrumentation library does. Returns what unwraps it."""

    def wrapper(wrapped, client, args, kwargs):
        seen.append("called")
        return wrapped(*args, **kwargs)

    original = vars(BaseClient)["__init__"]
    BaseClient.__init__ = theirs = wrapt.FunctionWrapper(original, wrapper)

    def unwrap() -> None:
        assert vars(BaseClient)["__init__"] is theirs
        BaseClient.__init__ = original

    return unwrap


def wrap_by_hand(seen: list[str]) -> Callable[[], None]:
    """The same as a plain monkey patch."""
    original = BaseClient.__init__

    def theirs(self, *args, **kwargs):
        seen.append("called")
        original(self, *args, **kwargs)

    BaseClient.__init__ = theirs

    def unwrap() -> None:
        assert vars(BaseClient)["__init__"] is theirs
        BaseClient.__init__ = original

    return unwrap


either_wrapper = pytest.mark.parametrize("wrap", [wrap_with_wrapt, wrap_by_hand])


@pytest.fixture
def restored(original) -> Iterator[None]:
    """Whatever a test does with the constructor of clients is undone."""
    yield
    safe_sqs.uninstall()
    BaseClient.__init__ = original


@pytest.mark.usefixtures("restored")
@either_wrapper
def test_a_wrapper_of_somebody_elses_on_top_of_ours_stays_and_works(make_config, wrap):
    seen: list[str] = []
    session = new_session()
    safe_sqs.install(make_config())
    unwrap = wrap(seen)
    assert is_guarded(session.client("sqs"))
    theirs = vars(BaseClient)["__init__"]
    safe_sqs.uninstall()
    assert vars(BaseClient)["__init__"] is theirs
    assert not is_guarded(session.client("sqs"))
    assert seen == ["called"] * 2
    safe_sqs.install(make_config())
    assert is_guarded(session.client("sqs"))
    safe_sqs.uninstall()
    assert vars(BaseClient)["__init__"] is theirs
    unwrap()
    assert not is_guarded(session.client("sqs"))
    assert seen == ["called"] * 3


@pytest.mark.usefixtures("restored")
@either_wrapper
def test_a_wrapper_of_somebody_elses_below_ours_works_before_and_after(make_config, wrap, original):
    seen: list[str] = []
    session = new_session()
    unwrap = wrap(seen)
    safe_sqs.install(make_config())
    assert is_guarded(session.client("sqs"))
    safe_sqs.uninstall()
    assert not is_guarded(session.client("sqs"))
    assert seen == ["called"] * 2
    unwrap()
    assert vars(BaseClient)["__init__"] is original


@pytest.mark.usefixtures("restored")
def test_installing_again_puts_back_a_wrapper_that_somebody_took_away(make_config, original):
    """A patch that began before the switch was on ends after it, and takes the wrapper with it."""
    session = new_session()
    patch = unittest.mock.patch.object(BaseClient, "__init__", original)
    patch.start()
    safe_sqs.install(make_config())
    patch.stop()
    safe_sqs.install(make_config())
    assert is_guarded(session.client("sqs"))
    safe_sqs.uninstall()
    assert vars(BaseClient)["__init__"] is original


# --- clients that exist already --------------------------------------------------------------------------------------


def unguarded(told: list[Any]) -> list[str]:
    """What was said about clients that are not guarded."""
    return [event.text for event in told if isinstance(event, Noticed) and event.topic == "unguarded-clients"]


def test_clients_that_exist_already_are_named_in_one_event_with_how_to_guard_them(told, make_config, make_raw):
    session = new_session(**ELSEWHERE)
    clients = [
        session.client("sqs"),
        session.client("sqs", endpoint_url="https://user:hunter2@north.example.test:8443/path?token=hunter3#hunter4"),
        session.client("sns"),
        guard(session.client("sqs", endpoint_url="https://guarded.example.test"), make_config()),
    ]
    safe_sqs.install(make_config())
    (text,) = unguarded(told)
    assert "region eu-north-1, endpoint https://sqs.eu-north-1.amazonaws.com" in text
    assert "region eu-north-1, endpoint https://north.example.test:8443/path" in text
    assert "safe_sqs.guard(client)" in text
    assert "hunter" not in text
    assert "sns" not in text
    assert "guarded.example.test" not in text
    for client in clients:
        del client


NONE_AND_ONE = """
import gc, json, sys, boto3, safe_sqs
from botocore.client import BaseClient
from safe_sqs import Config, events, guard

told = []
events.subscribe(lambda event: told.append(event.text))

def said(config):
    told.clear()
    safe_sqs.uninstall()
    safe_sqs.install(config)
    print(json.dumps(told))

session = boto3.session.Session(region_name="eu-north-1")
config = Config()
said(None)
print(json.dumps("structlog" in sys.modules))
sns = session.client("sns")
guarded = guard(session.client("sqs"), config)
from_switch = session.client("sqs")
said(config)

safe_sqs.uninstall()
dropped = session.client("sqs", endpoint_url="https://dropped.example.test")
dropped.itself = dropped
del dropped
said(config)

class Lazy:
    def __getattribute__(self, name):
        raise RuntimeError("woken")
    __class__ = property(lambda self: self.nothing)
sleeping = [Lazy() for _ in range(3)]
said(config)

half_built = object.__new__(type(sns)), object.__new__(type(guarded))
said(config)

safe_sqs.uninstall()
client = session.client("sqs", endpoint_url="https://alive.example.test")
class Own(type(client)):
    pass
own = object.__new__(Own)
vars(own).update(vars(client))
del client
said(config)
"""


def test_only_living_clients_of_sqs_without_a_guard_are_named(tmp_path):
    none, structlog, guarded, dropped, lazy, half_built, own = run(tmp_path, NONE_AND_ONE)
    assert none == guarded == lazy == []
    assert not structlog
    assert half_built == []
    assert dropped == []
    assert len(own) == 1
    assert own[0].startswith("1 SQS client was made before")
    assert "alive.example.test" in own[0]


def test_installing_survives_a_client_that_is_being_made(make_config):
    """Another thread may be in the midst of its constructor."""
    half_built = object.__new__(type(new_session().client("sqs")))
    safe_sqs.install(make_config())
    assert is_guarded(new_session().client("sqs"))
    assert vars(half_built) == {}


def test_clients_of_a_library_that_derives_from_botocore_are_named_too(told, make_config):
    """As aiobotocore does."""

    class AioBaseClient(BaseClient):
        pass

    core = new_core()
    core.register(
        "creating-client-class.sqs", lambda base_classes, **_: base_classes.__setitem__(slice(None), [AioBaseClient])
    )
    client = core.create_client("sqs", **ELSEWHERE, endpoint_url="https://aio.example.test")
    safe_sqs.install(make_config())
    assert "aio.example.test" in unguarded(told)[0]
    assert isinstance(client, AioBaseClient)


# --- wrong configurations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["environment", "user file", "organisation file"])
def test_a_wrong_configuration_is_told_at_once_and_nothing_is_installed(monkeypatch, tmp_path, source):
    file = tmp_path / "safe-sqs.toml"
    file.write_text('profile = "loose"\n', encoding="utf-8")
    if source == "environment":
        monkeypatch.setenv("SAFE_SQS_PROFILE", "loose")
    elif source == "user file":
        monkeypatch.setenv("SAFE_SQS_CONFIG", str(file))
    else:
        monkeypatch.setattr(sources, "ORGANISATION_FILES", (file,))
    before = state()
    with pytest.raises(ConfigError, match="profile"):
        safe_sqs.install()
    assert state() == before
    assert not installed()
    assert not is_guarded(new_session().client("sqs"))


def test_a_wrong_configuration_leaves_the_one_that_is_installed(monkeypatch, make_config):
    config = make_config(role="producer")
    safe_sqs.install(config)
    monkeypatch.setenv("SAFE_SQS_ROLE", "reader")
    with pytest.raises(ConfigError, match="role"):
        safe_sqs.install()
    assert [each.config for each in guards_of(new_session().client("sqs"))] == [config]


@pytest.mark.parametrize("wrong", ["strict", {"profile": "strict"}, Config], ids=["name", "dict", "class"])
def test_what_is_no_configuration_is_told_at_once(wrong):
    before = state()
    with pytest.raises(TypeError, match="Config"):
        safe_sqs.install(wrong)
    assert state() == before


WITHOUT_WRAPT = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "wrapt":
            raise ImportError("wrapt is broken")

import safe_sqs, boto3
sys.meta_path.insert(0, Missing())
before = list(sys.meta_path)
try:
    safe_sqs.install()
except ImportError as error:
    print(json.dumps(str(error)))
print(json.dumps([sys.meta_path == before, safe_sqs.process_wide.installed()]))
"""


def test_when_it_cannot_be_installed_nothing_is(tmp_path):
    assert run(tmp_path, WITHOUT_WRAPT) == ["wrapt is broken", [True, False]]


# --- imports, late and again -----------------------------------------------------------------------------------------

LATE = """
import importlib, json, pickle, sys, threading
import safe_sqs

safe_sqs.install(safe_sqs.Config(role="producer"))

def in_a_thread():
    thread = threading.Thread(target=importlib.import_module, args=("botocore.client",))
    thread.start()
    thread.join()

ways = {
    "import_module": lambda: importlib.import_module("botocore.client"),
    "thread": in_a_thread,
    "pickle": lambda: pickle.loads(b"cbotocore.client\\nBaseClient\\n."),
    "reload": lambda: importlib.reload(importlib.import_module("botocore.client")),
    "boto3": lambda: importlib.import_module("boto3"),
}
keys = dict(region_name="us-east-1", aws_access_key_id="AKIAEXAMPLEEXAMPLE02", aws_secret_access_key="s")
for name, way in ways.items():
    for module in list(sys.modules):  # a second copy of botocore, and a third
        if module.split(".")[0] in ("boto3", "botocore", "s3transfer"):
            del sys.modules[module]
    way()
    import botocore.session
    client = botocore.session.get_session().create_client("sqs", **keys)
    try:
        client.list_queues()
    except Exception as error:
        print(json.dumps([name, type(error).__name__]))

before = dict(vars(sys.modules["botocore.client"].BaseClient))
safe_sqs.uninstall()
importlib.reload(sys.modules["botocore.client"])
print(json.dumps(hasattr(sys.modules["botocore.client"].BaseClient.__init__, "__wrapped__")))
"""


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        ((), {}),
        (("-OO",), {"WRAPT_DISABLE_EXTENSIONS": "1"}),
    ],
    ids=["as usual", "optimised and without the extension of wrapt"],
)
def test_however_late_and_often_botocore_is_imported_its_clients_are_guarded(tmp_path, monkeypatch, flags, settings):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    *ways, wrapped = run(tmp_path, LATE, flags=flags)
    assert ways == [[name, "RefusedError"] for name in ("import_module", "thread", "pickle", "reload", "boto3")]
    assert not wrapped


IN_LAMBDA = """
import importlib, json, os, sys

# What an extension or a wrapper script does, before the runtime imports the function.
import safe_sqs
safe_sqs.install()
patched_or_late = {"asyncio", "boto3", "botocore", "http.client", "select", "socket", "ssl", "urllib3", "wrapt"}
print(json.dumps(sorted(patched_or_late & set(sys.modules))))

sys.path.insert(0, os.path.dirname(__file__))
handler = importlib.import_module("orders").handler
for queue in sys.argv[1:]:
    print(json.dumps(handler({"queue": queue}, None)))
"""
ORDERS = """
import boto3
sqs = boto3.client("sqs")

def handler(event, context):
    try:
        return sqs.send_message(QueueUrl=event["queue"], MessageBody="order")["ResponseMetadata"]["HTTPStatusCode"]
    except Exception as error:
        return type(error).__name__
"""


@pytest.mark.usefixtures("surroundings")
def test_a_module_that_makes_its_client_while_it_is_imported_gets_a_guarded_one(tmp_path, good, bad):
    """As functions on AWS Lambda do. Nothing is loaded early that programs load late, or patch first (gevent)."""
    (tmp_path / "orders.py").write_text(ORDERS, encoding="utf-8")
    assert run(tmp_path, IN_LAMBDA, good, bad) == [[], 200, "RefusedError"]


# --- processes that multiprocessing starts ---------------------------------------------------------------------------

CHILDREN = """
import base64, json, multiprocessing, os, pickle, sys
from concurrent.futures import ProcessPoolExecutor

import boto3

good, bad, exempt = os.environ["QUEUES"].split()
CONFIG = pickle.loads(base64.b64decode(os.environ["CONFIG"]))
from_initializer = None


def tried(client):
    results = []
    for queue in (good, exempt, bad):
        try:
            results.append(client.send_message(QueueUrl=queue, MessageBody="b")["ResponseMetadata"]["HTTPStatusCode"])
        except Exception as error:
            results.append([finding.rule for finding in error.findings])
    try:
        client.receive_message(QueueUrl=good)
        results.append("received")
    except Exception as error:
        results.append([finding.rule for finding in error.findings])
    from safe_sqs.guarded import guards_of
    return [*results, len(guards_of(client)), all(each.config == CONFIG for each in guards_of(client))]


def work(*_):
    return tried(boto3.client("sqs"))


def initialize():
    global from_initializer
    from_initializer = boto3.client("sqs")


def with_initializer(*_):
    return tried(from_initializer)


def twice(*_):
    import safe_sqs
    safe_sqs.install(CONFIG)
    safe_sqs.install(CONFIG)
    return work()


def of_a_child(method, task):
    with multiprocessing.get_context(method).Pool(1, initialize) as pool:
        return pool.apply(task)


def put(queue, task):
    queue.put(task())


def of_a_process(method, task):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=(queue, task))
    process.start()
    result = queue.get()
    process.join()
    return result


def child_of_a_child(*_):
    return of_a_process("spawn", work)


def child_after_uninstall(*_):
    import safe_sqs
    safe_sqs.uninstall()
    return of_a_process("spawn", work)


def of_an_executor(method, task):
    with ProcessPoolExecutor(1, multiprocessing.get_context(method), initialize) as pool:
        return pool.submit(task).result()


def of_a_fork(task):
    reading, writing = os.pipe()
    if not os.fork():
        os.write(writing, json.dumps(task()).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 10_000))


def report(name, result):
    print(json.dumps([name, result]), flush=True)


if __name__ == "__main__":
    import safe_sqs
    safe_sqs.install(CONFIG)
    report("os.fork", of_a_fork(work))
    report("fork, process", of_a_process("fork", work))
    report("fork, executor", of_an_executor("fork", with_initializer))
    import worker  # makes a client, so that a child that unpickles a target from there makes one too
    report("spawn, process of a module with a client", of_a_process("spawn", worker.work))
    report("spawn, pool with initializer", of_a_child("spawn", with_initializer))
    report("spawn, executor", of_an_executor("spawn", twice))
    report("spawn, child of a child", of_a_process("spawn", child_of_a_child))
    multiprocessing.set_forkserver_preload(["ahead"])  # makes a client too, in a process that nobody installs in
    report("forkserver, pool", of_a_child("forkserver", work))
    import ahead
    report("forkserver, client of a module that is loaded ahead", of_a_process("forkserver", ahead.work))
    report("forkserver, process of a module with a client", of_a_process("forkserver", worker.work))
    report("spawn, child after uninstall", of_a_process("spawn", child_after_uninstall))
    safe_sqs.uninstall()
    report("forkserver, after uninstall", of_a_process("forkserver", work))
"""
WORKER = """
import sys
import boto3
sqs = boto3.client("sqs")

def work():
    return sys.modules["__main__"].tried(sqs)
"""


@pytest.fixture
def children(surroundings, make_config, make_queue, good, bad, monkeypatch, queue_name) -> None:
    """What the program that starts children reads: three queues, and a configuration with something of each kind."""
    import base64
    import pickle
    from datetime import date, timedelta

    exempt = make_queue("-exempt", SqsManagedSseEnabled="false")
    exemption = {
        "queue": f"arn:aws:sqs:{REGION}:*:{queue_name}-exempt",
        "rule": "queue-encryption",
        "reason": "a test",
        "until": (date.today() + timedelta(days=7)).isoformat(),
    }
    config = make_config(
        role="producer", exemptions=[exemption], modes={"tls-only-policy": "off"}, when_unverifiable="warn"
    )
    monkeypatch.setenv("CONFIG", base64.b64encode(pickle.dumps(config)).decode())
    monkeypatch.setenv("QUEUES", " ".join([good, bad, exempt]))
    # What a child would read by itself is another configuration.
    monkeypatch.setenv("SAFE_SQS_ROLE", "consumer")


@pytest.mark.usefixtures("children")
def test_processes_that_multiprocessing_starts_are_guarded_by_the_same_configuration(tmp_path, monkeypatch):
    for name in ("worker", "ahead"):
        (tmp_path / f"{name}.py").write_text(WORKER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    results = dict(run(tmp_path, CHILDREN))
    unguarded = [200, 200, 200, "received", 0, True]
    assert results.pop("spawn, child after uninstall") == unguarded
    assert results.pop("forkserver, after uninstall") == unguarded
    assert len(results) == 10
    guarded = [200, 200, ["queue-encryption"], ["role-operations"], 1, True]
    assert results == dict.fromkeys(results, guarded)


STRANGE_PATH = """
import json, multiprocessing, os, sys
sys.path[:0] = ["", *os.environ["DEPENDENCIES"].split(os.pathsep)]


def work(queue):
    import boto3, safe_sqs
    keys = dict(aws_access_key_id="AKIAEXAMPLEEXAMPLE02", aws_secret_access_key="s")
    try:
        boto3.client("sqs", region_name="us-east-1", **keys).list_queues()
    except Exception as error:
        queue.put([type(error).__name__, safe_sqs.__file__])


if __name__ == "__main__":
    import safe_sqs
    safe_sqs.install()
    os.chdir("elsewhere")
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        queue = context.SimpleQueue()
        process = context.Process(target=work, args=(queue,))
        process.start()
        process.join()
        print(json.dumps([process.exitcode, None if queue.empty() else queue.get()]))
"""


def test_a_child_finds_safe_sqs_where_its_parent_found_it(tmp_path, monkeypatch):
    """On a path that the parent added when it ran, and even in a directory that it has left since."""
    here = tmp_path / "here"
    (here / "elsewhere" / "safe_sqs").mkdir(parents=True)
    (here / "elsewhere" / "safe_sqs" / "__init__.py").write_text("raise RuntimeError('the wrong one')\n")
    (here / "safe_sqs").symlink_to(Path(safe_sqs.__file__).parent)
    monkeypatch.chdir(here)
    monkeypatch.setenv("DEPENDENCIES", os.pathsep.join(filter(None, sys.path)))
    results = run(tmp_path, STRANGE_PATH, flags=("-S",))
    assert results == [[0, ["RefusedError", str(here / "safe_sqs" / "__init__.py")]]] * 2
