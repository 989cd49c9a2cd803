"""A headless Chromium that tests drive over its DevTools pipe, with nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Browser", "Page", "binary", "running"]

_SECONDS = 60.0
_METRICS = {"deviceScaleFactor": 1, "mobile": False}


def binary() -> str | None:
    """The path of Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A running browser. What it says without being asked is kept, by the page that it is about."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._buffer = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """The result of a command of the DevTools protocol."""
        self._last += 1
        number = self._last
        command = {"id": number, "method": method, "params": parameters}
        os.write(self._commands, json.dumps(command | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)

    def wait_for(self, method: str, session: str) -> dict[str, Any]:
        """The first event of this name of a page, which may have come already."""
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session:
                    self.events.remove(event)
                    return event["params"]
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], end - time.monotonic())
            assert ready, "the browser says nothing"
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser has ended"
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    @contextlib.contextmanager
    def page(
        self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> Iterator[Page]:
        """A page, loaded: its address, the size of the window, the scheme, and whether scripts run."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, width)
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.ask(f"{domain}.enable")
            page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, **_METRICS)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            page.ask("Emulation.setEmulatedMedia", features=[scheme])
            page.ask("Emulation.setScriptExecutionDisabled", value=not script)
            page.ask("Page.navigate", url=address)
            self.wait_for("Page.loadEventFired", session)
            yield page
        finally:
            self.ask("Target.closeTarget", targetId=target)


class Page:
    """One page in the browser."""

    def __init__(self, browser: Browser, session: str, width: int) -> None:
        self._browser = browser
        self._width = width
        self._session = session

    def ask(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the DevTools protocol about this page."""
        return self._browser.ask(method, self._session, **parameters)

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page; a promise is waited for."""
        result = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_until_drawn(self) -> None:
        """Wait for the first frames. Before them, assistive technology is not told of every row."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")

    def screenshot(self, file: Path) -> Path:
        """A picture of the whole page, as PNG, in a window as high as the page: what is out of sight is not drawn."""
        for _ in range(3):
            height = min(self.run("Math.ceil(document.documentElement.scrollHeight)"), 16_000)
            self.ask("Emulation.setDeviceMetricsOverride", width=self._width, height=height, **_METRICS)
            self.wait_until_drawn()
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
        return file

    def printed(self) -> bytes:
        """The page as it is printed, as PDF."""
        return base64.b64decode(self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """What the browser has said of this page by these names so far."""
        self.ask("Page.getLayoutMetrics")
        return [
            event["params"]
            for event in self._browser.events
            if event.get("sessionId") == self._session and event.get("method") in methods
        ]

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the page, those of its security policy included."""
        thrown = [str(each["exceptionDetails"]) for each in self.told("Runtime.exceptionThrown")]
        logged = [str(each["entry"]) for each in self.told("Log.entryAdded")]
        return thrown + logged + [str(each["args"]) for each in self.told("Runtime.consoleAPICalled")]

    @property
    def fetched(self) -> list[str]:
        """The addresses that the page has asked for."""
        return [each["request"]["url"] for each in self.told("Network.requestWillBeSent")]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """A browser, with its profile in the folder."""
    path = binary()
    assert path is not None
    commands_in, commands = os.pipe()
    answers, answers_out = os.pipe()
    arguments = [
        path,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        f"--user-data-dir={folder}",
        "--remote-debugging-pipe",
        "about:blank",
    ]
    # Chromium reads commands from descriptor 3 and writes answers to 4. The copies are made by numbers out of its way,
    # for ours might be 3 and 4 themselves.
    high_in, high_out = (_moved(each, 100) for each in (commands_in, answers_out))
    null = os.open(os.devnull, os.O_RDWR)
    process = os.posix_spawn(
        path,
        arguments,
        dict(os.environ) | {"HOME": str(folder)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
            (os.POSIX_SPAWN_DUP2, high_in, 3),
            (os.POSIX_SPAWN_DUP2, high_out, 4),
        ],
        setpgroup=0,
    )
    for each in (high_in, high_out, null):
        os.close(each)
    browser = Browser(commands, answers)
    try:
        browser.ask("Browser.getVersion")
        yield browser
    finally:
        with contextlib.suppress(Exception):
            browser.ask("Browser.close")
        _end(process)
        os.close(commands)
        os.close(answers)


def _moved(descriptor: int, least: int) -> int:
    import fcntl

    moved: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    os.close(descriptor)
    return moved


def _end(process: int) -> None:
    for _ in range(100):
        if os.waitpid(process, os.WNOHANG)[0]:
            break
        time.sleep(0.05)
    else:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
