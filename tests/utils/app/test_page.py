"""The page: what it says of an image and a clip, what it refuses, and that a browser without a network shows it."""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest

from measure.io import InputError
from tests.helpers.browser import Browser
from tests.helpers.processes import in_a_process
from tests.helpers.weights import untrained
from utils.__main__ import main
from utils.app.command import is_loopback
from utils.app.serving import bind, remove_left_folders, temporary_folder, url_of
from utils.phantom import phantom_clip, phantom_still
from utils.prediction.outputs import VideoWriter

gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="needs Gradio")
browser = shutil.which("chromium")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "0"], "--port 0 was given; it must be at least 1"),
        (["--max_upload", "0"], "--max_upload 0 was given; it must be more than 0"),
        (["--device", "tpu"], "--device"),
        (["--host", ""], "--host: an empty text was given"),
    ],
)
def test_flags_are_checked(flags, message, capsys):
    assert main(["app", *flags]) == 2
    assert message in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("utils.app.command.find_spec", lambda name: None)
    assert main(["app"]) == 2
    assert "the page needs Gradio, which is not installed here; pip install gradio" in capsys.readouterr().err


def test_which_addresses_stay_on_this_machine():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.1.1", "example.org", "::")))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from utils.app.serving import bind, open_page
    from utils.prediction import Predictor

    weights = untrained("sepnet", tmp_path_factory.mktemp("weights") / "w.pth", size=64)
    predictor = Predictor.from_checkpoint(weights, device="cpu")
    host = "127.0.0.1"
    with bind(host, 0) as taken, open_page(predictor, taken, host=host, max_upload=1, max_seconds=1) as served:
        yield served


@gradio
@pytest.mark.slow
def test_an_image_is_looked_at_and_drawn_again_at_another_threshold(page, tmp_path):
    from gradio_client import Client, handle_file

    image = phantom_still(seed=0, size=(70, 90))[0]
    cv2.imwrite(str(tmp_path / "полип.png"), image[..., ::-1])
    client = Client(page.local_url, verbose=False)
    shares = {}
    for threshold in (0.02, 0.98):
        shown, told = client.predict(handle_file(tmp_path / "полип.png"), threshold, "mask", api_name="/look")[-2:]
        shares[threshold] = (cv2.imread(shown, 0) > 127).mean()
        assert f"{shares[threshold]:.1%} of the image" in told and " ms" in told
    assert shares[0.02] == 1.0 and shares[0.98] == 0.0, "untrained: near 1/2 everywhere"
    (tmp_path / "none.png").write_bytes(b"none")
    with pytest.raises(Exception, match="(?i)image"):
        client.predict(handle_file(tmp_path / "none.png"), 0.5, "mask", api_name="/look")


@gradio
@pytest.mark.slow
def test_nothing_outside_is_opened_and_large_files_are_refused(page, tmp_path):
    from gradio_client import Client, handle_file

    for place in ("/etc/hostname", str(tmp_path / ".." / "secret.png")):
        body = json.dumps({"data": [{"path": place, "meta": {"_type": "gradio.FileData"}}, 0.5, "mask"]}).encode()
        with pytest.raises(HTTPError, match="403"):
            urlopen(Request(f"{page.local_url}gradio_api/call/look", body, {"Content-Type": "application/json"}))
        with pytest.raises(HTTPError, match="403"):
            urlopen(f"{page.local_url}gradio_api/file={place}")
    client = Client(page.local_url, verbose=False)
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), noise)
    with pytest.raises(Exception, match="(?i)size|large|413"):
        client.predict(handle_file(tmp_path / "large.png"), 0.5, "mask", api_name="/look")


@gradio
@pytest.mark.slow
def test_a_clip_is_drawn_and_a_long_one_refused(page, tmp_path):
    from gradio_client import Client, handle_file

    frames = list(phantom_clip(seed=1, frames=6, size=(64, 96))[0])
    for name, rate in (("short", 10), ("long", 2)):
        with VideoWriter(tmp_path / f"{name}.mp4", rate=rate) as writer:
            for frame in frames:
                writer.write(frame)
    client = Client(page.local_url, verbose=False)
    drawn, told = client.predict(handle_file(tmp_path / "short.mp4"), 0.5, "outline", api_name="/follow")
    path = drawn["video"] if isinstance(drawn, dict) else drawn
    assert cv2.VideoCapture(path).read()[0] and told.startswith("6 frames in ")
    with pytest.raises(Exception, match="the clip lasts 3 seconds; 1 are taken"):
        client.predict(handle_file(tmp_path / "long.mp4"), 0.5, "outline", api_name="/follow")


@gradio
@pytest.mark.slow
def test_a_clip_ends_when_its_client_leaves(page, tmp_path):
    import httpx

    with VideoWriter(tmp_path / "clip.mp4", rate=100) as writer:
        for frame in 10 * list(phantom_clip(seed=1, frames=9, size=(480, 640))[0]):
            writer.write(frame)
    files = {"files": ("clip.mp4", (tmp_path / "clip.mp4").read_bytes())}
    clip = Path(httpx.post(f"{page.local_url}gradio_api/upload", files=files).json()[0])
    folder = clip.parents[1]
    before = set(folder.iterdir())
    follow = f"{page.local_url}gradio_api/call/follow"
    asked = {"data": [{"path": str(clip), "meta": {"_type": "gradio.FileData"}}, 0.5, "outline"]}
    event = httpx.post(follow, json=asked).json()["event_id"]
    with httpx.stream("GET", f"{follow}/{event}", timeout=60) as answer:
        assert next(line for line in answer.iter_lines() if "frame" in line).endswith('frames so far"]')
        assert set(folder.iterdir()) > before, "it is being drawn"
    since = time.monotonic()
    while drawn := set(folder.iterdir()) - before:
        assert time.monotonic() - since < 60, f"{drawn} stay"
        time.sleep(0.1)


def test_a_taken_port_is_told_before_the_weights_are_read(monkeypatch, capsys):
    monkeypatch.setattr("utils.app.command.find_spec", lambda name: True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port), "--weights", "nowhere.pth"]) == 2
    told = capsys.readouterr().err
    assert told == f"error: port {port} of 127.0.0.1 cannot be used: it is taken; give another --port\n"


def test_weights_that_are_not_there_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("utils.app.command.find_spec", lambda name: True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["app", "--port", str(port), "--weights", str(tmp_path / "nowhere.pth")]) == 2
    assert "nowhere.pth" in capsys.readouterr().err


def start_in(folder):
    tempfile.tempdir = str(folder)
    remove_left_folders()


def test_uploads_of_a_killed_page_go_when_the_next_one_starts(tmp_path, monkeypatch):
    for name in ("polyp-page-killed/uploads", "else/uploads"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "patient.png").write_bytes(b"x")
    (tmp_path / "polyp-page-link").symlink_to(tmp_path / "else")
    with ExitStack() as page:
        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "tempdir", str(tmp_path))
            living = page.enter_context(temporary_folder())
        (living / "patient.png").write_bytes(b"x")
        assert in_a_process(start_in, tmp_path) == 0  # locks hold between processes
        assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["patient.png"] * 2
        assert (living / "patient.png").exists() and not (tmp_path / "polyp-page-killed").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "polyp-page-link"]
    assert [path.name for path in (tmp_path / "else").rglob("*")] == ["uploads", "patient.png"]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("192.0.2.1", "port 7860 of 192.0.2.1 cannot be used: this machine has no such address; give another --host"),
        ("no such host", "--host no such host is no address that is known here; give one of this machine's"),
        ("a" * 300, "is no address that is known here"),
    ],
)
def test_addresses_that_cannot_be_taken_are_told(host, told):
    with pytest.raises(InputError, match=re.escape(told)):
        bind(host, 7860)


def test_a_port_of_the_system_is_told(monkeypatch):
    monkeypatch.setattr(socket.socket, "bind", lambda *args: (_ for _ in ()).throw(PermissionError(13, "denied")))
    told = "port 80 of 127.0.0.1 cannot be used: that takes rights that you do not have; give a --port above 1023"
    with pytest.raises(InputError, match=told):
        bind("127.0.0.1", 80)


def test_addresses_are_written_as_browsers_take_them():
    urls = {host: url_of(host, 80) for host in ("127.0.0.1", "0.0.0.0", "::", "::1", "[::1]", "localhost")}
    assert urls["0.0.0.0"] == urls["127.0.0.1"] == "http://127.0.0.1:80/"
    assert urls["::"] == urls["::1"] == urls["[::1]"] == "http://[::1]:80/"
    assert urls["localhost"] == "http://localhost:80/"


@gradio
@pytest.mark.slow
@pytest.mark.skipif(browser is None, reason="needs chromium")
def test_a_browser_without_a_network_shows_it(page, tmp_path):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=9000", f"--user-data-dir={tmp_path}"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--window-size=1200,800"]
    shot = tmp_path / "page.png"
    done = subprocess.run([browser, *flags, f"--screenshot={shot}", page.local_url], capture_output=True, timeout=120)
    assert done.returncode == 0 and cv2.imread(str(shot)).std() > 5
    dom = subprocess.run([browser, *flags, "--dump-dom", page.local_url], capture_output=True, text=True, timeout=120)
    for word in ("What the network takes for polyps", "threshold (probability)", "outline and probability", "Clip"):
        assert word in dom.stdout


@gradio
@pytest.mark.slow
@pytest.mark.skipif(browser is None, reason="needs chromium")
def test_one_drops_an_image_and_clicks(page, tmp_path):
    image, _ = phantom_still(seed=3, size=(96, 128))
    cv2.imwrite(str(tmp_path / "still.png"), image[..., ::-1])
    flags = ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    told = "(document.body.innerText.match(/\\d+ regions?, [^;]+/) || [''])[0]"
    with Browser(browser, tmp_path / "profile", flags=flags) as tab:
        tab.call("Page.navigate", url=page.local_url)
        tab.wait_for("document.querySelector('input[type=file]') !== null")
        tab.choose_files("input[type=file]", tmp_path / "still.png")
        everything = tab.wait_for(told)
        seen = "document.querySelectorAll('img[src*=\"/file=\"]').length"
        assert tab.wait_for(f"{seen} >= 2 && {seen}") >= 2, "the image, and what was seen in it"
        tab.screenshot(tmp_path / "outline.png")
        tab.run("[...document.querySelectorAll('label')].find(x => x.innerText.trim() == 'mask').click()")
        tab.wait_for("[...document.querySelectorAll('input[type=radio]')].some(x => x.checked && x.value == 'mask')")
        tab.run(
            "(() => { const slider = document.querySelector('input[type=range]'); slider.value = 0.98;"
            "['input', 'change', 'pointerup'].map(x => slider.dispatchEvent(new Event(x, {bubbles: true}))) })()"
        )
        assert tab.wait_for(f"{told} != {json.dumps(everything)} && {told}") != everything
        tab.screenshot(tmp_path / "mask.png")
    outline, mask = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("outline", "mask"))
    assert outline.shape == mask.shape and (outline != mask).any()


@gradio
@pytest.mark.slow
@pytest.mark.skipif(browser is None, reason="needs chromium")
def test_one_looks_at_a_clip_and_it_plays(page, tmp_path):
    with VideoWriter(tmp_path / "clip.webm", rate=10) as writer:
        for frame in phantom_clip(seed=1, frames=9, size=(64, 96))[0]:
            writer.write(frame)
    button = "[...document.querySelectorAll('button')].find(x => x.innerText.includes('Look at the clip'))"
    flags = ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    with Browser(browser, tmp_path / "profile", flags=flags) as tab:
        tab.call("Page.navigate", url=page.local_url)
        tab.wait_for("document.querySelector('button[role=tab]') !== null")
        tab.run("[...document.querySelectorAll('button[role=tab]')].find(x => x.innerText.trim() == 'Clip').click()")
        tab.wait_for(f"{button} && {button}.offsetParent !== null")
        tab.choose_files("input[type=file][accept*=video]", tmp_path / "clip.webm")
        tab.wait_for("document.querySelector('video') !== null")
        tab.run(f"{button}.click()")
        assert tab.wait_for("(document.body.innerText.match(/\\d+ frames in/) || [''])[0]") == "9 frames in"
        playable = "[...document.querySelectorAll('video')].filter(x => x.readyState >= 2 && x.videoWidth == 96).length"
        assert tab.wait_for(f"{playable} == 2 && {playable}") == 2, "the clip, and what was seen in it"
