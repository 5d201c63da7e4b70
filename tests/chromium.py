"""Debian's Chromium without a window, spoken to over a pipe in the DevTools protocol: what a reader's browser does.

Nothing is installed for it and no port is opened.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TIMEOUT_S = 60.0

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="no chromium here: apt-get install chromium")


class Browser:
    """One page. Keeps what it asked for and what it complained about."""

    def __init__(self, profile: Path) -> None:
        assert PROGRAM is not None
        command_read, self._write_fd = os.pipe()
        self._read_fd, answer_write = os.pipe()

        def as_three_and_four() -> None:  # where Chromium looks for the pipe
            os.dup2(command_read, 63)
            os.dup2(answer_write, 64)
            os.dup2(63, 3)
            os.dup2(64, 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        self._process = subprocess.Popen(
            [PROGRAM, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            preexec_fn=as_three_and_four,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(profile)},
        )
        os.close(command_read)
        os.close(answer_write)
        self._numbers = itertools.count(1)
        self._answers = self._read_answers()
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, path: Path, width: int, height: int = 900, *, is_dark: bool = False) -> None:
        """Show a file in a window of this width, in CSS pixels, and wait until it is laid out."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        self.ask("new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))")

    def ask(self, expression: str) -> Any:
        """What an expression is worth in the page."""
        got = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def picture(self, out: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        out.write_bytes(base64.b64decode(shot["data"]))

    def paper(self, out: Path) -> None:
        """The page as it is printed, on A4."""
        printed = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        out.write_bytes(base64.b64decode(printed["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; events that come before it are noted."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        for answer in self._answers:
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self._note(answer)
        raise AssertionError(f"chromium ended during {method}")

    def close(self) -> None:
        for descriptor in (self._write_fd, self._read_fd):
            os.close(descriptor)
        self._process.kill()
        self._process.wait(TIMEOUT_S)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _note(self, event: dict[str, Any]) -> None:
        match event:
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.requests.append(url)
            case {"method": "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded", "params": said}:
                self.complaints.append(json.dumps(said))

    def _read_answers(self) -> Iterator[dict[str, Any]]:
        held = b""
        while read := os.read(self._read_fd, 1 << 16):
            *whole, held = (held + read).split(b"\0")
            yield from map(json.loads, whole)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in a folder of the test."""
    with Browser(folder / "profile") as opened:
        yield opened
