"""What a file has for the judge: policies, and the queues to which they belong."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from safe_sqs.model import KeyManager, Queue
from safe_sqs.templates.standins import narrowed, shapes_of

__all__ = ["Branch", "FoundPolicy", "Kind", "Settings", "queue_named", "queue_of"]

_ARN = re.compile(r"arn:([a-z0-9-]+):sqs:([^:\s*?]+):(\d{12}):([A-Za-z0-9_.-]+)", re.ASCII)


class Kind:
    """What kind of file it is, in words."""

    POLICY = "policy"
    ATTRIBUTES = "queue attributes"
    CLOUDFORMATION = "CloudFormation template"
    TERRAFORM = "Terraform plan or state"


class Settings(NamedTuple):
    """How a queue is set, beside its policy. `dead_letter` is the ARN of its dead-letter queue, or ""."""

    sse_sqs: bool
    kms_key: str = ""
    key_manager: KeyManager | None = None
    dead_letter: str = ""


class Branch(NamedTuple):
    """What a file comes to under some of its conditions, which `told` says ("" where there are none).

    `document` is the policy as text or as parsed, None for none, and may have open values in it. `settings` are all
    that may turn out; none for a policy without its queue.
    """

    told: str
    document: Any
    settings: tuple[Settings, ...] = ()


class FoundPolicy(NamedTuple):
    """A policy in a file, with its queue, or a queue that has none.

    `where` is its place in words ("" for a file that is a policy), `line` the line on which it begins. `queue` is the
    queue as far as the file says it, with an empty `name` when it does not. `unresolved` names what is known only when
    it is deployed, and `words` has pairs of what stands in for something and how to show it.
    """

    where: str
    kind: str
    queue: Queue
    branches: tuple[Branch, ...]
    unresolved: tuple[str, ...] = ()
    line: int = 1
    words: tuple[tuple[str, str], ...] = ()

    @property
    def policy(self) -> str | None:
        """The text of the policy, in the first of its branches and with open values as narrow as they can be."""
        return shapes_of(self.branches[0].document, "")[0]

    @property
    def is_bare(self) -> bool:
        """True for a policy of which nothing says how its queue is set."""
        return not any(branch.settings for branch in self.branches)

    def shown(self, text: str) -> str:
        """A text about it with the names of the file in place of what stands in for them."""
        for standing_in, shown in self.words:
            text = text.replace(standing_in, shown)
        return text


def queue_named(name: str, *, account: str, region: str, partition: str) -> Queue:
    """A queue of this name; characters that no name has become dashes."""
    return Queue("", partition, region, account, re.sub(r"[^A-Za-z0-9_.-]", "-", narrowed(name))[:80])


def queue_of(arn: object) -> Queue | None:
    """The queue that an ARN names, or None for what is not a queue's ARN."""
    match = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    return Queue("", *match.groups()) if match else None
