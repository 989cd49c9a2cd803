"""What is written down in one place and made into a client in another."""

from __future__ import annotations

import copyreg
import functools
import pickle
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from support import REGION, new_core

from bypasses.stage import KEYS, Stage
from bypasses.ways import Family

FAMILY = Family("pickling")
way = FAMILY.way


def through_pickle(thing: Any) -> Any:
    """The same, as another process would get it."""
    return pickle.loads(pickle.dumps(thing))


@way
def configuration(stage: Stage) -> None:
    """A client made from a configuration that was pickled."""
    kept = through_pickle({"config": ClientConfig(retries={"total_max_attempts": 1}), "region": REGION})
    client = stage.library.client("sqs", config=kept["config"], region_name=kept["region"])
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def function_that_makes_a_client(stage: Stage) -> None:
    """A partial function of the library that was pickled."""
    make = through_pickle(functools.partial(stage.library.client, "sqs"))
    make().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def class_of_the_session(stage: Stage) -> None:
    """A session of a class that was pickled by its name."""
    kind = through_pickle(stage.library.Session)
    kind(botocore_session=new_core()).client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def credentials(stage: Stage) -> None:
    """Long-term keys that came out of a pickle, behind a client's back."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client._request_signer._credentials = through_pickle(Credentials(*KEYS))
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def client_taught_to_pickle(stage: Stage) -> None:
    """A client whose class was taught to pickle itself as a call of the library."""
    client = stage.library.client("sqs")
    library = stage.library
    copyreg.pickle(type(client), lambda _: (library.client, ("sqs", REGION)))
    try:
        through_pickle(client).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
    finally:
        del copyreg.dispatch_table[type(client)]


@way
def refusal_that_was_pickled(stage: Stage) -> None:
    """A refusal that a pool hands over as a pickle, after which the program tries again with the same client."""
    client = stage.client()
    try:
        client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
    except Exception as error:
        through_pickle(error)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
