"""A Chromium without a window, driven through its debugging pipe: no package beside it is needed."""

import base64
import json
import os
import select
import subprocess
import time

__all__ = ["Browser"]


class Browser:
    """One tab. Use as a context.

    Args:
        program: path of Chromium.
        folder: for its profile.
        flags: more of its own.
    """

    def __init__(self, program, folder, *, flags=()):
        (theirs, self.out), (self.into, ours) = os.pipe(), os.pipe()

        def attach():  # it reads from 3 and writes to 4
            os.dup2(theirs, 3), os.dup2(ours, 4)

        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={folder}", "--window-size=1200,900", *flags, "about:blank"]
        self.process = subprocess.Popen(
            words, preexec_fn=attach, pass_fds=(3, 4, theirs, ours), stderr=subprocess.DEVNULL
        )
        os.close(theirs), os.close(ours)
        self.number, self.rest, self.session = 0, b"", None
        (page,) = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.out), os.close(self.into)

    def call(self, method, *, seconds=30, **parameters):
        """The answer to a command of the DevTools protocol."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            answer = json.loads(self.read(end))
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def read(self, end):
        """The next message."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.into], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            self.rest += os.read(self.into, 2**16)
        message, _, self.rest = self.rest.partition(b"\0")
        return message

    def run(self, script):
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, script, *, seconds=60):
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, (
                f"not within {seconds} seconds: {script}\n{self.run('document.body.innerText')}"
            )
            time.sleep(0.1)
        return value

    def choose_files(self, selector, *paths):
        """Put files into an input of files."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
