"""A real Chromium without a window, spoken to by its DevTools protocol over loopback: tests of pages look with it.

Which one: `SLIPWAY_BROWSER`, a name on the PATH or a path, else the first of `NAMES` that is on the PATH.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

VARIABLE = "SLIPWAY_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 60.0  # for an answer: a busy machine is no fault of the page
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root, as in a container, has none; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # the browser's own habits reach nobody either
    "--remote-debugging-port=0",
)
# Not before the page has drawn what it was told to: the charts draw in the frame after they have measured themselves.
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"


def executable() -> str | None:
    """Path of the browser; None when nobody named one and this machine has none.

    Raises:
        FileNotFoundError: `SLIPWAY_BROWSER` names one that is not there.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return next((path for name in NAMES if (path := shutil.which(name))), None)
    path = shutil.which(named)
    if path is None:
        raise FileNotFoundError(f"{VARIABLE}={named}: there is no such browser. Install it, or leave {VARIABLE} out.")
    return path


class Browser:
    """A process with tabs; `opened` makes it and ends it."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket
        self.sent = 0
        self.tabs: dict[str, Tab] = {}  # by session

    def open(
        self, file: Path, *, fragment: str = "", width: int = 1280, height: int = 900, dark: bool = False
    ) -> "Tab":
        """A tab that shows `file` and has drawn it; the one before is closed."""
        for session in self.tabs:
            self.ask("Page.close", session)
        self.tabs.clear()
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for part in ("Page", "Runtime", "Log", "Network"):
            tab.ask(f"{part}.enable")
        phone = width < 600
        tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.ask("Emulation.setEmulatedMedia", features=[scheme])
        tab.go(file.as_uri() + fragment)
        return tab

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; what the tabs tell meanwhile is kept with them."""
        self.sent += 1
        call = {"id": self.sent, "method": method, "params": parameters}
        self.socket.send(json.dumps(call if session is None else {**call, "sessionId": session}))
        while (message := self.heard()).get("id") != self.sent:
            pass
        assert "error" not in message, f"{method}: {message['error']}"
        return dict(message["result"])

    def heard(self) -> dict[str, Any]:
        """The next message; one of a tab is told to it."""
        message = json.loads(self.socket.recv(timeout=PATIENCE_S))
        if "method" in message and message.get("sessionId") in self.tabs:
            self.tabs[message["sessionId"]].told(message["method"], message["params"])
        return dict(message)


class Tab:
    """One page: what it shows, what a hand does to it, and what it complained of or asked for."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session
        self.complaints: list[str] = []  # of the page: exceptions, warnings and errors of its console
        self.requests: list[str] = []  # addresses
        self.is_loaded = False

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.ask(method, self.session, **parameters)

    def go(self, address: str) -> None:
        self.is_loaded = False
        self.ask("Page.navigate", url=address)
        while not self.is_loaded:
            self.browser.heard()
        self.value(DRAWN)

    def told(self, event: str, facts: dict[str, Any]) -> None:
        """Keep what matters of an event."""
        if event == "Page.loadEventFired":
            self.is_loaded = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(facts["exceptionDetails"]["exception"]["description"])
        elif event == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(each.get("value")) for each in facts["args"]))
        elif event == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
            self.complaints.append(facts["entry"]["text"])

    def value(self, expression: str) -> Any:
        """What JavaScript makes of `expression` in the page; a promise is waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What a reader sees of an element."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """A press of the mouse in the middle of an element, which is brought into sight first."""
        x, y = self.value(
            f"""(() => {{
                const target = document.querySelector({json.dumps(selector)});
                target.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const {{ left, top, width, height }} = target.getBoundingClientRect();
                return [left + width / 2, top + height / 2];
            }})()"""
        )
        self.click_at(x, y)

    def click_at(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.value(DRAWN)

    def point_at(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.value(DRAWN)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key)
        self.value(DRAWN)

    def picture(self, path: Path) -> Path:
        """The whole page as a PNG, for the eyes of a person."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path


@contextmanager
def opened(program: str, folder: Path) -> Iterator[Browser]:
    """A browser whose profile is `folder`, ended with all of its processes afterwards."""
    command = [program, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_address(process, folder), max_size=None, proxy=None, compression=None) as socket:
            browser = Browser(socket)
            yield browser
            browser.ask("Browser.close")
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    """Where it listens, once it has written that down."""
    note = folder / "DevToolsActivePort"
    waited_until = time.monotonic() + PATIENCE_S
    while not note.is_file() or note.read_text(encoding="utf-8").count("\n") < 1:
        assert process.poll() is None, f"the browser ended with {process.returncode} before it listened"
        assert time.monotonic() < waited_until, f"the browser does not listen after {PATIENCE_S:.0f} s"
        time.sleep(0.02)
    port, path = note.read_text(encoding="utf-8").split()[:2]
    return f"ws://127.0.0.1:{port}{path}"
