"""Chromium, driven over a pipe with its DevTools protocol. Python's standard library alone."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time


def find():
    """The program, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


class Chromium:
    """A browser with one tab."""

    def __init__(self, program, microphone=None, options=()):
        self.profile = tempfile.mkdtemp(prefix="viseme-chromium-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        arguments = [
            program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "--no-first-run",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync", "--mute-audio",
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", *options,
        ]
        if microphone:
            arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        # The browser reads commands from descriptor 3 and answers on 4.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *arguments],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self._next = 0
        self._answers = {}
        self._condition = threading.Condition()
        self.events = []
        threading.Thread(target=self._listen, daemon=True).start()
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def close(self):
        try:
            self._call("Browser.close")
            self.process.wait(10)
        except Exception:  # it must go, however
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _listen(self):
        pending = b""
        while True:
            piece = os.read(self._read, 1 << 20)
            if not piece:
                break
            pending += piece
            *messages, pending = pending.split(b"\0")
            with self._condition:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self.events.append(message)
                self._condition.notify_all()

    def _call(self, method, parameters=None, session=None, timeout=60):
        with self._condition:
            self._next += 1
            number = self._next
        message = {"id": number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        with self._condition:
            if not self._condition.wait_for(lambda: number in self._answers, timeout):
                raise TimeoutError(method)
            answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def call(self, method, parameters=None):
        """Calls the tab."""
        return self._call(method, parameters, self._session)

    def evaluate(self, expression, by_value=True):
        """The value of an expression, awaited, as if the user had clicked."""
        answer = self.call("Runtime.evaluate", {
            "expression": expression, "awaitPromise": True, "returnByValue": by_value, "userGesture": True})
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(f"{expression}: {details.get('exception', {}).get('description', details)}")
        return answer["result"].get("value") if by_value else answer["result"]

    def wait(self, expression, timeout=20):
        """Waits until an expression is true."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = self.evaluate(expression)
            if value:
                return value
            time.sleep(0.05)
        raise TimeoutError(f"not within {timeout} s: {expression}")

    def click(self, selector):
        self.evaluate(f"(() => {{ const it = document.querySelector({json.dumps(selector)}); "
                      "if (it.disabled) throw new Error('disabled'); it.click(); })()")

    def press(self, key, code=0):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code})

    def choose_file(self, selector, path):
        node = self.evaluate(f"document.querySelector({json.dumps(selector)})", by_value=False)
        self.call("DOM.setFileInputFiles", {"files": [path], "objectId": node["objectId"]})

    def look(self, width, height, scheme="light", phone=False, reduced=False):
        """The window's size, and what the user prefers."""
        self.call("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone})
        self.call("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"}]})

    def screenshot(self, path, whole=False):
        data = self.call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """What the page logged as errors: scripts, network, content security policy."""
        found = []
        for event in list(self.events):
            parameters = event.get("params", {})
            if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                found.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"].get("exception", {}).get("description")))
            if event["method"] == "Runtime.consoleAPICalled" and parameters["type"] == "error":
                found.append(str(parameters["args"]))
        return found
