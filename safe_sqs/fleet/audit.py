"""A look at many queues, in many accounts and regions: a bounded number at a time, each written to a journal at once.

Clients are made in one thread and shared by those that look. There is one for each place, with botocore's retries in
their adaptive mode: a place that throttles slows down all who look at it, and no other. What is still throttled then is
tried once more when all else is done. No more than a page of queues and what is under way is held in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Queue as Line
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from safe_sqs.config import Config
from safe_sqs.errors import RefusedError
from safe_sqs.evaluation import Evaluation
from safe_sqs.facts import name_of
from safe_sqs.fleet.access import Access, Account
from safe_sqs.fleet.journal import Journal, key_of
from safe_sqs.fleet.looks import Look, look
from safe_sqs.fleet.naming import Named, NamingError, url_of
from safe_sqs.hooks import CREDENTIALS_MISSING
from safe_sqs.model import Facts, Unreadable

__all__ = ["DEFAULT_JOBS", "MOST_JOBS", "Audit", "Equip", "Judge", "Left", "Place", "Reach", "reach"]

DEFAULT_JOBS = 16
MOST_JOBS = 64
_LISTS = 4
"""How many places are listed at a time."""
_PAGE = 1_000
"""The most that ListQueues gives at once."""
_CLIENT = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "retries": {"mode": "adaptive", "total_max_attempts": 6},
}
_NOT_ENABLED = frozenset({"InvalidClientTokenId", "UnrecognizedClientException"})
"""What a region says to credentials of an account for which it is not enabled."""
_GONE = ("NonExistentQueue", "QueueDoesNotExist")
_EXPECTED = (RefusedError, ClientError, BotoCoreError, ResponseParserError, NamingError)

Judge = Callable[["Reach", Look], Evaluation]
"""Makes the evaluation from a look; what asks for a second opinion adds it here. It is called in several threads."""

Equip = Callable[[Account, "Reach"], "Reach"]
"""Adds the clients that a judge asks, in the thread in which clients are made."""


class Place(NamedTuple):
    """An account, entered in one way, and a region of it."""

    access: Access
    region: str

    def __str__(self) -> str:
        return ", ".join((*_words(self.access), self.region))


def _words(access: Access) -> Iterator[str]:
    if access.aws_profile is not None:
        yield f"profile {access.aws_profile}"
    if access.role_arn is not None:
        yield access.role_arn


class Reach(NamedTuple):
    """The clients for a place: `sqs` is guarded, `more` is what the judge asks besides."""

    place: Place
    sqs: Any
    more: Any = None


class Left(NamedTuple):
    """What could not be looked at, and why: a place or a queue. `queues` counts those of a place of which the others
    could be; it is 0 for the whole."""

    where: str
    error: Exception
    queues: int = 0


class _List(NamedTuple):
    reach: Reach
    token: str = ""
    is_again: bool = False


class _Look(NamedTuple):
    reach: Reach
    queue: str | Named
    is_again: bool = False


_Task = _List | _Look


def reach(account: Account, region: str, config: Config, jobs: int) -> Reach:
    """The guarded client for a region. Raises botocore's errors about regions, and ConfigError."""
    client = account.sqs(config, region, max_pool_connections=jobs, **_CLIENT)
    return Reach(Place(account.access, region), client)


def _plainly(_: Reach, seen: Look) -> Evaluation:
    return seen.evaluation


class Audit:
    """One run. Evaluations are in the journal; `left` is what could not be looked at, `skipped` the places whose region
    is not enabled, and `gone` counts the queues that were deleted between the list and the look.

    `watch` is told how many queues are done, and how many are known. `accounts` says as whom an account was entered.
    """

    def __init__(
        self,
        config: Config,
        journal: Journal,
        *,
        jobs: int = DEFAULT_JOBS,
        watch: Callable[[int, int], None] | None = None,
        judge: Judge | None = None,
        equip: Equip | None = None,
    ) -> None:
        self.gone = 0
        self.accounts: dict[str, Access] = {}
        self._config = config
        self._journal = journal
        self._jobs = jobs
        self._watch = watch
        self._judge = judge or _plainly
        self._equip = equip
        self._is_all_regions = self._is_last_round = False
        self._places: Iterator[Place] = iter(())
        self._account: Account | None = None
        self._pages: deque[_List] = deque()
        self._queues: deque[_Look] = deque()
        self._again: deque[_Task] = deque()
        self._taken: set[str] = set()
        self._lists = self._known = self._done = 0
        self._left: dict[tuple[str, str], Left] = {}
        self._shut: set[Access] = set()
        self._entered: set[Access] = set()
        self._not_enabled: list[tuple[Place, Exception]] = []

    @property
    def left(self) -> tuple[Left, ...]:
        """What could not be looked at."""
        shut = {
            place.access: Left(_shown(place.access), error)
            for place, error in reversed(self._not_enabled)
            if place.access not in self._entered | self._shut
        }
        return (*self._left.values(), *shut.values())

    @property
    def skipped(self) -> tuple[Place, ...]:
        """Places in regions that are not enabled for the account, where others of its regions are."""
        return tuple(place for place, _ in self._not_enabled if place.access in self._entered)

    def of_places(self, places: Iterable[Place], *, all_regions: bool = False) -> None:
        """Look at every queue of the places. With `all_regions`, those that are not enabled are skipped.

        Raises JournalError when a place has become another account, and OSError when the journal cannot be written.
        """
        self._places = iter(places)
        self._is_all_regions = all_regions
        self._go()

    def of_queues(self, queues: Iterable[tuple[Reach, Named]]) -> None:
        """Look at the queues that somebody named. One that is not there is one of which nothing can be told."""
        self._queues.extend(_Look(*each) for each in queues)
        self._known = len(self._queues)
        self._go()

    # --- one thread says what is done next -------------------------------------------------------------------------

    def _go(self) -> None:
        tasks: Line[_Task | None] = Line(2 * self._jobs)
        done: SimpleQueue[tuple[_Task, Any, Exception | None]] = SimpleQueue()
        for _ in range(self._jobs):
            # Daemons, so that an interrupted run ends at once and not when the last answer has come.
            Thread(target=self._work, args=(tasks, done), daemon=True).start()
        under_way = 0
        try:
            while True:
                while under_way < 2 * self._jobs and (task := self._next(is_idle=not under_way)) is not None:
                    tasks.put(task)
                    under_way += 1
                if not under_way:
                    return
                task, value, error = done.get()
                under_way -= 1
                self._settle(task, value, error)
        finally:
            for _ in range(self._jobs):
                if not tasks.full():
                    tasks.put_nowait(None)

    def _next(self, *, is_idle: bool) -> _Task | None:
        if len(self._queues) < _PAGE and self._lists < _LISTS and (page := self._next_page()) is not None:
            self._lists += 1
            return page
        if self._queues:
            return self._queues.popleft()
        self._is_last_round |= is_idle
        if self._is_last_round and self._again:
            task = self._again.popleft()
            self._lists += isinstance(task, _List)
            return task
        return None

    def _next_page(self) -> _List | None:
        if self._pages:
            return self._pages.popleft()
        for place in self._places:
            if place.access in self._shut:
                continue
            try:
                return _List(self._reach(place))
            except _EXPECTED as error:
                self._shut_out(place, error)
        return None

    def _reach(self, place: Place) -> Reach:
        """The clients for a place. They are made in one thread, as sessions are not safe to share."""
        if self._account is None or self._account.access != place.access:
            self._account = Account(place.access)
        made = reach(self._account, place.region, self._config, self._jobs)
        return self._equip(self._account, made) if self._equip else made

    # --- the others do it ------------------------------------------------------------------------------------------

    def _work(self, tasks: Line[_Task | None], done: SimpleQueue[tuple[_Task, Any, Exception | None]]) -> None:
        while (task := tasks.get()) is not None:
            value, problem = None, None
            try:
                value = _list(task) if isinstance(task, _List) else self._look(task)
            except Exception as error:
                problem = error
            done.put((task, value, problem))
            del task, value, problem

    def _look(self, task: _Look) -> tuple[Look, Evaluation]:
        client = task.reach.sqs
        url = task.queue if isinstance(task.queue, str) else url_of(client, task.queue)
        seen = look(client, url, self._config)
        return seen, self._judge(task.reach, seen)

    # --- and the one thread writes down what came of it ------------------------------------------------------------

    def _settle(self, task: _Task, value: Any, error: Exception | None) -> None:
        if error is not None and not isinstance(error, _EXPECTED):
            raise error
        if isinstance(task, _List):
            self._lists -= 1
            self._settle_list(task, value, error)
        else:
            self._settle_look(task, value, error)
        if self._watch is not None:
            self._watch(self._done, self._known)

    def _settle_list(self, task: _List, answer: Any, error: Exception | None) -> None:
        place = task.reach.place
        if error is not None:
            if _is_passing(error) and not task.is_again:
                self._again.append(task._replace(is_again=True))
            elif self._is_all_regions and _code(error) in _NOT_ENABLED:
                self._not_enabled.append((place, error))
            else:
                self._shut_out(place, error)
            return
        self._entered.add(place.access)
        client = task.reach.sqs
        for url in answer.get("QueueUrls", ()):
            queue = name_of(url, client.meta.region_name, client.meta.partition)
            if queue.account not in self.accounts:
                self.accounts[queue.account] = place.access
            self._journal.note_account(str(place), queue.account)
            key = key_of(queue)
            if key in self._taken:
                continue
            self._taken.add(key)
            self._known += 1
            if key in self._journal:
                self._done += 1
            else:
                self._queues.append(_Look(task.reach, url))
        if token := answer.get("NextToken"):
            self._pages.append(_List(task.reach, token))

    def _settle_look(self, task: _Look, value: Any, error: Exception | None) -> None:
        if error is not None:
            self._done += 1
            if isinstance(task.queue, Named):
                self._leave(task.queue.shown, error, 0)
            else:
                self._leave(str(task.reach.place), error, 1)
            return
        seen, evaluation = value
        is_listed = isinstance(task.queue, str)
        if is_listed and isinstance(seen.facts, Unreadable) and _is_gone(seen.facts.code):
            self._known -= 1
            self.gone += 1
        elif not task.is_again and _is_incomplete(seen.facts):
            self._again.append(task._replace(is_again=True))
        else:
            self._done += 1
            self._journal.add(evaluation)

    def _shut_out(self, place: Place, error: Exception) -> None:
        """Leave a place, and every other that is entered in the same way when that way is what is wrong."""
        if _is_of_access(error):
            self._shut.add(place.access)
            self._leave(_shown(place.access), error, 0)
        else:
            self._leave(str(place), error, 0)

    def _leave(self, where: str, error: Exception, queues: int) -> None:
        key = (where, _kind(error))
        before = self._left.get(key)
        self._left[key] = Left(where, error, queues + (before.queues if before else 0))


def _list(task: _List) -> Any:
    """A page of the queues. botocore takes a page of HTML, as a proxy sends it, for an empty answer; that would be an
    account without queues, so it raises ResponseParserError."""
    token = {"NextToken": task.token} if task.token else {}
    answer = task.reach.sqs.list_queues(MaxResults=_PAGE, **token)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if "QueueUrls" not in answer and "json" not in headers.get("content-type", ""):
        raise ResponseParserError("the answer of ListQueues is not JSON")
    return answer


def _shown(access: Access) -> str:
    return ", ".join(_words(access)) or "the account of the environment"


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _kind(error: Exception) -> str:
    if isinstance(error, RefusedError):
        return ", ".join(sorted({finding.rule for finding in error.findings}))
    return f"{type(error).__name__} {_code(error)}"


def _is_of_access(error: Exception) -> bool:
    """True for what goes wrong in the same way in every region."""
    if isinstance(error, RefusedError):
        return any(finding.rule == "static-credentials" for finding in error.findings)
    is_of_role = isinstance(error, ClientError) and error.operation_name == "AssumeRole"
    return is_of_role or isinstance(error, CREDENTIALS_MISSING)


def _is_gone(code: str) -> bool:
    return any(name in code for name in _GONE)


def _is_passing(error: Exception) -> bool:
    return "Throttl" in _code(error)


def _is_incomplete(facts: Facts | Unreadable | None) -> bool:
    """True when something could not be read that another attempt may read: it was throttled, or there was no answer."""
    if isinstance(facts, Unreadable):
        return not facts.permission and not _is_gone(facts.code)
    return isinstance(facts, Facts) and any(
        isinstance(part, Unreadable | Facts) and _is_incomplete(part) for part in (facts.dead_letter, facts.key_manager)
    )
