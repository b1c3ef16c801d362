"""What is let through to the page: from whom, for what, how much. Gradio is not started."""

import asyncio
import json
import os

import pytest

pytest.importorskip("starlette")

from utils.app.gate import Gate  # noqa: E402


def ask(folder, path, *, method="GET", host="127.0.0.1:7860", body=b"", host_flag="127.0.0.1", **headers):
    """The status that a request gets, and what came to stand behind the gate."""
    seen, sent = [], []

    async def behind(scope, receive, send):
        seen.append((scope["path"], (await receive()).get("body")))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if method == "POST":
        given = {"content-length": str(len(body)), **given}
    pairs = [(name.encode(), value.encode()) for name, value in given.items() if value is not None]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    asyncio.run(Gate(behind, folder=folder, host=host_flag, max_upload=1000)(scope, receive, send))
    return sent[0]["status"], seen, dict(sent[0]["headers"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("[::1]:7860", 200),
        ("192.168.0.7:7860", 200),
        ("endoscopy.example:7860", 200),  # what --host named
        ("evil.example:7860", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_the_page_answers_to_its_own_names_alone(tmp_path, host, status):
    assert ask(tmp_path, "/config", host=host, host_flag="endoscopy.example")[0] == status


def test_other_pages_may_not_ask(tmp_path):
    own = {"origin": "http://127.0.0.1:7860"}
    for headers, status in (
        (own, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, 200),  # a link to the page
    ):
        assert ask(tmp_path, "/", **headers)[0] == status, headers
    assert ask(tmp_path, "/gradio_api/upload", method="POST", origin="http://evil.example")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/deep_link",
        "/gradio_api/runs",
        "/gradio_api/run-history/buckets",
        "/gradio_api/proxy=https://x.hf.space/",
        "/gradio_api/openapi.json",
        "/gradio_api/custom_component/x/client/y/z",
        "/gradio_api/stream/a/b/1/playlist.m3u8",
        "/gradio_api/something_new",
        "/docs",
    ],
)
def test_what_the_page_does_not_need_is_not_there(tmp_path, path):
    status, seen, _ = ask(tmp_path, path)
    assert status == 404 and not seen


@pytest.mark.parametrize(
    "path", ["/gradio_api/run/look", "/gradio_api/component_server", "/gradio_api/login", "/config", "/"]
)
def test_what_the_page_does_not_need_takes_nothing(tmp_path, path):
    status, seen, _ = ask(tmp_path, path, method="POST", body=b"{}")
    assert status == 404 and not seen
    assert ask(tmp_path, "/", method="DELETE")[0] == 404


def test_only_uploads_are_given_out(tmp_path):
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "image.png").touch()
    (folder / "a" / "link.png").symlink_to("/etc/hostname")
    given = {
        str(folder / "a" / "image.png"): 200,
        str(folder / "a" / "link.png"): 403,
        f"{folder}/../secret.png": 403,
        f"{folder}/a/../../secret.png": 403,
        f"{folder}-other/image.png": 403,
        str(folder): 403,
        "/etc/hostname": 403,
        "http://127.0.0.1/": 403,
        "image.png": 403,
        "a\0b": 403,
    }
    for path, status in given.items():
        assert ask(folder, f"/gradio_api/file={path}")[0] == status, path


def test_jobs_name_uploads_alone(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "image.png").touch()
    files = [
        ({"path": str(folder / "image.png"), "url": "http://127.0.0.1:7860/gradio_api/file=x"}, 200),
        ({"path": "/etc/hostname"}, 403),
        ({"path": f"{folder}/../secret.png"}, 403),
        ({"path": "http://evil.example/a.png"}, 403),
        ({"path": "file:///etc/hostname"}, 403),
        ({"path": None, "url": "http://evil.example/a.png"}, 403),
        ({"url": "data:image/png;base64,AAAA"}, 403),
        ({"path": ["/etc/hostname"]}, 403),
        ({"video": {"path": "/etc/hostname"}}, 403),
        ([[{"deep": [{"path": "/etc/hostname"}]}]], 403),
    ]
    for file, status in files:
        for path in ("/gradio_api/queue/join", "/gradio_api/call/look"):
            body = json.dumps({"data": [file, 0.5, "mask"]}).encode()
            got, seen, _ = ask(folder, path, method="POST", body=body)
            assert got == status, file
            assert seen == ([(path, body)] if status == 200 else []), "handed on as it came"
    for body in (b"\xff", b"[" * 30000, b"{"):
        assert ask(folder, "/gradio_api/queue/join", method="POST", body=body)[0] == 400


def test_what_is_too_long_is_not_read(tmp_path):
    upload, job = "/gradio_api/upload", "/gradio_api/queue/join"
    for path, length, status in (
        (upload, 1000 + 2**16, 200),
        (upload, 1001 + 2**16, 413),
        (job, 2**16 + 1, 413),
        (upload, None, 411),
        (job, "-5", 411),
        (job, "1" * 5000, 411),
    ):
        stated = None if length is None else str(length)
        got, seen, _ = ask(tmp_path, path, method="POST", body=b"{}", content_length=stated)
        assert got == status and bool(seen) == (status == 200), (path, length)


def test_uploads_wait_for_room(tmp_path):
    (tmp_path / "a").mkdir()
    room = 8 * (1000 + 2**16)
    (tmp_path / "a" / "b").write_bytes(bytes(room - 500))
    assert ask(tmp_path, "/gradio_api/upload", method="POST", body=bytes(500))[0] == 200
    assert ask(tmp_path, "/gradio_api/upload", method="POST", body=bytes(501))[0] == 507
    os.unlink(tmp_path / "a" / "b")
    assert ask(tmp_path, "/gradio_api/upload", method="POST", body=bytes(501))[0] == 200


def test_browsers_are_told_to_fetch_nothing_from_elsewhere_and_to_keep_nothing(tmp_path):
    for path in ("/", "/monitoring"):
        headers = ask(tmp_path, path)[2]
        policy = headers[b"content-security-policy"].decode()
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
        assert headers[b"cache-control"] == b"no-store" and headers[b"x-content-type-options"] == b"nosniff"
