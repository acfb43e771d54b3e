"""`--push` and `hf://` against a hub of our own on loopback; nothing leaves this machine."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from zerosum.cli.main import run as command
from zerosum.errors import UserError
from zerosum.export.folder import export_run
from zerosum.export.hub import fetch_folder, require_name

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")

SHA = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload and a download ask for."""

    def answer(self, body, status=200, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        hub = self.server
        hub.asked.append((self.path, self.headers.get("Authorization")))
        if hub.refuses:
            self.answer({"error": "not for you"}, 403)
        elif self.path == "/api/repos/create":
            hub.created.append(json.loads(body))
            self.answer({"url": f"http://{self.headers['Host']}/ada/digits", "id": "ada/digits"})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            self.answer({"files": files})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                told = json.loads(line)
                if told["key"] == "file":
                    content = base64.b64decode(told["value"]["content"])
                    hub.files[told["value"]["path"]] = content
            self.answer(
                {
                    "commitUrl": f"http://{self.headers['Host']}/ada/digits/commit/{SHA}",
                    "commitOid": SHA,
                }
            )
        else:
            self.answer({}, 404)

    def do_GET(self):
        hub = self.server
        hub.asked.append((self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        match = re.fullmatch(r"/ada/digits/resolve/[^/]+/(.+)", path)
        if hub.files and "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "1"}
                for name, content in hub.files.items()
            ]
            self.answer(tree)
        elif hub.files and path.startswith("/api/models/ada/digits"):
            siblings = [{"rfilename": name} for name in hub.files]
            self.answer({"id": "ada/digits", "sha": SHA, "siblings": siblings})
        elif match and match[1] in hub.files:
            content = hub.files[match[1]]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self.answer(content, ETag=etag, X_Repo_Commit=SHA)
        else:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.created, server.asked, server.refuses = {}, [], [], False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def call(hub, tmp_path):
    """Run the command in a process of its own, as the package reads the address when imported."""

    def run(*words, token="secret"):
        places = {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_TOKEN": token,
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "zerosum", *map(str, words)],
            env={**os.environ, **places},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def tiny_run(save_run_anew, tmp_path):
    return save_run_anew(tmp_path / "run", "vanilla", hidden=(6,), latent_size=4)


@pytest.mark.slow
def test_there_and_back(hub, call, tiny_run, tmp_path):
    out = tmp_path / "out"
    done = call("export", tiny_run.path, "--out", out, "--push", "ada/digits")
    assert done.returncode == 0, done.stderr
    assert "ada/digits" in done.stdout
    assert [each["name"] for each in hub.created] == ["digits"]
    assert hub.files == {path.name: path.read_bytes() for path in out.iterdir()}
    assert all("secret" in token for _, token in hub.asked if token)
    assert any(token for _, token in hub.asked)

    hub.asked.clear()
    hub.files |= {"evil.pkl": b"x", "pytorch_model.bin": b"x"}
    done = call("sample", "hf://ada/digits", "-n", "3", "--out", tmp_path / "s.npz")
    assert done.returncode == 0, done.stderr
    assert (np.load(tmp_path / "s.npz")["images"] == tiny_run.sample(3)).all()
    fetched = {path.rpartition("/")[2] for path, _ in hub.asked if "/resolve/" in path}
    assert fetched == {"generator.json", "model.safetensors"}  # no code, no pickle

    hub.files["model.safetensors"] = hub.files["model.safetensors"][:-1] + b"\x00"
    done = call("sample", "hf://ada/digits", "--out", tmp_path / "t.npz")
    assert done.returncode in (0, 2)  # from the cache, or not what generator.json tells of
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_the_hub_refuses(hub, call, tiny_run, tmp_path):
    done = call("sample", "hf://ada/digits")
    assert done.returncode == 2
    assert "No generator could be fetched" in done.stderr
    hub.refuses = True
    done = call("export", tiny_run.path, "--out", tmp_path / "out", "--push", "ada/digits")
    assert done.returncode == 2
    assert "could not be uploaded" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    assert (tmp_path / "out" / "model.onnx").is_file()  # what was exported stays
    hub.refuses = False
    hub.files["README.md"] = b"no generator"
    done = call("sample", "hf://ada/digits")
    assert done.returncode == 2
    assert "generator.json" in done.stderr


@pytest.mark.parametrize("name", ["", "digits", "a/b/c", "../x", "a/..", "a/b?x", "a b/c", "/b"])
def test_names_that_are_none(name, tmp_path, capsys):
    with pytest.raises(UserError, match="OWNER/NAME"):
        require_name(name)
    with pytest.raises(UserError, match="OWNER/NAME"):
        fetch_folder(f"hf://{name}")
    assert command(["export", "no-run", "--out", str(tmp_path / "o"), "--push", name]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err  # before any work


def test_a_missing_package_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"zerosum\[hub\]"):
        fetch_folder("hf://ada/digits")
    assert command(["export", "no-run", "--out", str(tmp_path / "o"), "--push", "ada/x"]) == 2
    assert "zerosum[hub]" in capsys.readouterr().err


def test_the_card_is_one_that_the_hub_reads(save_run_anew, tmp_path):
    from huggingface_hub import ModelCard

    run = save_run_anew(tmp_path / "r", "vanilla", hidden=(6,), latent_size=4)
    export_run(run, tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name == "zerosum"
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert "onnx" in card.data.tags
