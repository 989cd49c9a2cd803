"""What signs: long-term keys from anywhere, credentials that change under a living client, no signature at all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from botocore import UNSIGNED
from botocore.compat import HAS_CRT
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials, RefreshableCredentials
from sockets import Answer, listening
from support import LONG_TERM, REGION, TEMPORARY, WIRE_ONLY, new_core

from bypasses.stage import KEYS, Stage, with_living_client
from bypasses.ways import Family

FAMILY = Family("credentials swaps")
way, way_where = FAMILY.way, FAMILY.way_where


def no_crt() -> str:
    """Give what Signature Version 4A needs, or "" where it is there."""
    return "" if HAS_CRT else "Signature Version 4A needs awscrt"


IN_EVERY_REGION = ClientConfig(signature_version="v4a")
"""Signature Version 4A: its signature holds in every region, and is of another form."""


def forget_the_environment() -> None:
    """Take the temporary credentials out of the environment."""
    for name in TEMPORARY:
        os.environ.pop(name.upper(), None)


@way
def long_term_keys(stage: Stage) -> None:
    """Long-term keys as arguments."""
    client = stage.client({**LONG_TERM, "aws_session_token": None})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def long_term_keys_with_a_token(stage: Stage) -> None:
    """Long-term keys, with a session token beside them."""
    client = stage.client(LONG_TERM | {"aws_session_token": "x"})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def temporary_key_without_its_token(stage: Stage) -> None:
    """A key that looks temporary, without a session token."""
    client = stage.client({**TEMPORARY, "aws_session_token": None})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def key_of_no_known_kind(stage: Stage) -> None:
    """A key whose prefix says nothing, as emulators take them."""
    client = stage.client({**TEMPORARY, "aws_access_key_id": "test"})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way_where(missing=no_crt)
def long_term_keys_that_sign_for_every_region(stage: Stage) -> None:
    """Long-term keys, with Signature Version 4A."""
    client = stage.client({**LONG_TERM, "aws_session_token": None, "config": IN_EVERY_REGION})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way_where(missing=no_crt)
def signature_for_every_region(stage: Stage) -> None:
    """A bad queue, after a good one, with Signature Version 4A."""
    client = stage.client({"config": IN_EVERY_REGION})
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def long_term_keys_in_the_environment(stage: Stage) -> None:
    """Long-term keys in the environment."""
    forget_the_environment()
    os.environ.update({name.upper(): value for name, value in LONG_TERM.items()})
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def credentials_file(stage: Stage) -> None:
    """Long-term keys in the shared credentials file."""
    forget_the_environment()
    Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).write_text(_section("default"))
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def profile_changed(stage: Stage) -> None:
    """AWS_PROFILE is changed between two clients, to a profile with long-term keys."""
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody="harmless")
    forget_the_environment()
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(_section("profile old"))
    os.environ["AWS_PROFILE"] = "old"
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def _section(name: str) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in LONG_TERM.items())


@way
def credential_process(stage: Stage) -> None:
    """A `credential_process` that gives out long-term keys."""
    forget_the_environment()
    said = json.dumps({"Version": 1, "AccessKeyId": KEYS[0], "SecretAccessKey": KEYS[1]})
    file = stage.folder / "keys.json"
    file.write_text(said)
    text = f"[default]\ncredential_process = {sys.executable} -S -c \"print(open('{file}').read())\"\n"
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def container_that_gives_out_long_term_keys(stage: Stage) -> None:
    """A credentials server of a container that gives out long-term keys, with a token and an end."""
    forget_the_environment()
    ends = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"AccessKeyId": KEYS[0], "SecretAccessKey": KEYS[1], "Token": "x", "Expiration": ends}
    with listening(lambda _: Answer(body=json.dumps(said).encode())) as server:
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{server.url}/keys"
        stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def set_credentials(stage: Stage) -> None:
    """Long-term keys that are set in the session between two of its clients."""
    core = new_core()
    session = stage.library.Session(botocore_session=core)
    session.client("sqs").send_message(QueueUrl=stage.good, MessageBody="harmless")
    core.set_credentials(*KEYS)
    session.client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def renewed_to_long_term_keys(stage: Stage) -> None:
    """Temporary credentials that renew themselves, one day to long-term keys."""

    def renewed() -> dict[str, str]:
        return {"access_key": KEYS[0], "secret_key": KEYS[1], "token": "x", "expiry_time": "2099-01-01T00:00:00Z"}

    temporary = dict(zip(("access_key", "secret_key", "token"), TEMPORARY.values(), strict=True))
    credentials = RefreshableCredentials.create_from_metadata(
        {**temporary, "expiry_time": "2099-01-01T00:00:00Z"}, refresh_using=renewed, method="test"
    )
    core = new_core()
    core._credentials = credentials
    client = stage.library.Session(botocore_session=core).client("sqs")
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    credentials._expiry_time = datetime.now(timezone.utc)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def credentials_that_change_as_they_are_read(stage: Stage) -> None:
    """Credentials that are temporary for whoever reads them first, and long-term for the signature."""

    class Turning(Credentials):
        reads = 0

        def get_frozen_credentials(self) -> Any:
            self.reads += 1
            kept = self.access_key, self.secret_key, self.token
            if self.reads % 2 == 0:
                self.access_key, self.secret_key, self.token = *KEYS, "x"
            frozen = super().get_frozen_credentials()
            self.access_key, self.secret_key, self.token = kept
            return frozen

    client = stage.client()
    credentials = client._request_signer._credentials = Turning(*TEMPORARY.values())
    if not stage.is_guarded:
        credentials.reads = 1  # nobody reads them before
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def client_of_another_account(stage: Stage) -> None:
    """A client with credentials of another account, after one whose queue was good."""
    stage.client().send_message(QueueUrl=stage.good, MessageBody="harmless")
    other = stage.client({**TEMPORARY, "aws_access_key_id": "ASIAEXAMPLEEXAMPLE77"})
    other.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


# --- no signature, or another one --------------------------------------------------------------------------------


@way
def client_that_does_not_sign(stage: Stage) -> None:
    """A client whose configuration says that nothing is signed."""
    client = stage.client({**stage.to_unknown, "config": ClientConfig(signature_version=UNSIGNED)})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def signature_taken_away(stage: Stage) -> None:
    """A handler of `choose-signer` that takes the signature of a living client away."""
    client = stage.client(stage.to_unknown, modes=WIRE_ONLY)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.unknown.forget()
    client.meta.events.register("choose-signer", lambda **_: UNSIGNED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def of_version(version: str) -> Callable[[Stage], None]:
    """A client that signs in another way than Signature Version 4."""

    def attempt(stage: Stage) -> None:
        client = stage.client({"config": ClientConfig(signature_version=version)})
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


for _version in ("v3", "s3", "s3v4"):
    FAMILY.add(f"signature-{_version}", f"A client with signature version {_version}.", of_version(_version))


@way
def signature_chosen_by_a_handler(stage: Stage) -> None:
    """A handler of `choose-signer` that has a living client sign by Signature Version 3."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.meta.events.register("choose-signer.sqs", lambda **_: "v3")
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


# --- under a living client ---------------------------------------------------------------------------------------


def replace_credentials(client: Any) -> None:
    """Other credentials in the client's signer."""
    client._request_signer._credentials = Credentials(*KEYS)


def change_the_key(client: Any) -> None:
    """Another key in the client's credentials."""
    client._request_signer._credentials.access_key = KEYS[0]


def take_the_token_away(client: Any) -> None:
    """No token any more in the client's credentials."""
    client._request_signer._credentials.token = None


def swap_the_signer(client: Any) -> None:
    """Another signer, with long-term keys, in the place of the client's."""
    old = client._request_signer
    client._request_signer = type(old)(old._service_id, REGION, "sqs", "v4", Credentials(*KEYS), client.meta.events)
    client.meta.events.unregister("request-created.sqs", old.handler)
    client.meta.events.register("request-created.sqs", client._request_signer.handler)


def override_credentials(client: Any) -> None:
    """Credentials for one request, in its context."""

    def handler(context: dict[str, Any], **_: Any) -> None:
        context["signing"] = {**context.get("signing", {}), "request_credentials": Credentials(*KEYS)}

    client.meta.events.register("before-parameter-build", handler)


def write_authorization(client: Any, method: str = "register", event: str = "before-send") -> None:
    """An Authorization header that a handler writes on the wire."""

    def handler(request: Any, **_: Any) -> None:
        del request.headers["Authorization"]
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEYS[0]}/20300101/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0"
        ).encode()

    getattr(client.meta.events, method)(event, handler)


def write_authorization_last_of_all(client: Any) -> None:
    """An Authorization header that a handler writes on the wire, after all others."""
    write_authorization(client, "register_last")


def write_authorization_at_the_signature(client: Any) -> None:
    """An Authorization header that a handler writes right after the signature."""
    write_authorization(client, "register_last", "request-created")


for _change in (
    replace_credentials,
    change_the_key,
    take_the_token_away,
    swap_the_signer,
    override_credentials,
    write_authorization,
    write_authorization_last_of_all,
    write_authorization_at_the_signature,
):
    FAMILY.add(_change.__name__, f"{_change.__doc__}", with_living_client(_change))
