"""What `fuzz.py` attacks: each kind of file that zerosum reads, and the requests that it answers.

A target has valid contents to begin with, a way to make them wrong, and a function that does with
such a content what a command would.
"""

from __future__ import annotations

import atexit
import gzip
import hashlib
import io
import json
import shutil
import socket
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mutations
import numpy as np
from mutations import Mutation
from PIL import Image

RUN = Path(__file__).parent.parent / "fixtures" / "v0.2" / "with-log-sha256"
CHECKPOINT = RUN / "run" / "checkpoints" / "240"
ANSWERS = (b"200", b"304", b"400", b"403", b"404", b"405", b"414", b"431", b"500", b"501", b"505")


@dataclass(frozen=True)
class Target:
    """One kind of content.

    Attributes:
        name: what it is.
        seeds: makes valid contents.
        mutate: makes a content wrong.
        attempt: reads a content, in a folder that is its own and holds what was there before.
        needs: a package without which it cannot be tried.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutation
    attempt: Callable[[Path, bytes], object]
    needs: str = ""


def pixels(side: int = 8, *, count: int = 6, seed: int = 0) -> Any:
    """Random gray pixels (n, side, side)."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


def encoded(kind: str, mode: str = "RGB", **how: Any) -> bytes:
    """A small image as a file."""
    content = io.BytesIO()
    frames = [Image.fromarray(pixels()[each]).convert(mode) for each in range(3)]
    if how.pop("frames", False):
        how |= {"save_all": True, "append_images": frames[1:]}
    frames[0].save(content, kind, **how)
    return content.getvalue()


def saved(**arrays: Any) -> bytes:
    """Arrays as an .npz."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def signed(content: bytes) -> dict[str, Any]:
    """What a manifest says of a content."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def fresh_run(folder: Path) -> Path:
    """A copy of the run, in the place of what was done to the one before."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(RUN / "run", run)
    for older in (run / "checkpoints").iterdir():
        if older.name != CHECKPOINT.name:
            shutil.rmtree(older)
    return run


# Runs.


@cache
def game() -> Any:
    """What the run of the fixture plays."""
    import torch

    from zerosum.config.base import restore
    from zerosum.data import load
    from zerosum.preparation import build_game
    from zerosum.recipes import RECIPES

    told = json.loads((RUN / "run" / "config.json").read_bytes())
    config = restore(RECIPES["vanilla"].config, told["config"])
    return build_game("vanilla", config, load(RUN / "data.npz"), device=torch.device("cpu"))


def take_up(run: Path) -> None:
    """Go on with a run, as far as nothing is trained; and open its generator."""
    from zerosum.callbacks import Callback
    from zerosum.inference.run import Run
    from zerosum.training.ema import EMA
    from zerosum.training.resume import check_log, cut_log, restore_newest
    from zerosum.training.run_directory import RunDirectory
    from zerosum.training.state import State

    directory = RunDirectory(run)
    Run(run).generator(device="cpu")
    directory.checkpoints.best()
    directory.checkpoints.last_healthy()
    state = State(game(), EMA(game().G.net, half_life=500))
    restore_newest(state, directory, Callback())
    check_log(state, directory, Callback())
    cut_log(state, directory)


def of_checkpoint(file: str) -> Callable[[Path, bytes], None]:
    """Put a content into the checkpoint, with a manifest that fits."""

    def attempt(folder: Path, content: bytes) -> None:
        run = fresh_run(folder)
        checkpoint = run / "checkpoints" / CHECKPOINT.name
        (checkpoint / file).write_bytes(content)
        manifest = checkpoint / "manifest.json"
        if file != manifest.name:
            told = json.loads(manifest.read_bytes()) | {file: signed(content)}
            manifest.write_text(json.dumps(told))
        take_up(run)

    return attempt


def open_config(folder: Path, content: bytes) -> None:
    """Sample the run that a config.json tells of."""
    from zerosum.inference.run import Run

    run = fresh_run(folder)
    (run / "config.json").write_bytes(content)
    opened = Run(run)
    repr(opened), opened._repr_html_(), opened.usual_settings()
    opened.generator(device="cpu")
    opened.sample(2, device="cpu")


def resume_config(folder: Path, content: bytes) -> None:
    """Take up the settings of a config.json, as `--resume` and `--config` do."""
    from zerosum.cli.train import choose, flags_of

    run = fresh_run(folder)
    (run / "config.json").write_bytes(content)
    for tokens in (["--resume", str(run)], ["--config", str(run / "config.json")]):
        chosen = choose(None, tokens)
        flags_of(chosen.recipe, chosen.file, inherited=chosen.inherited)
        chosen.recipe.configure(chosen.file, inherited=chosen.inherited)


def tell(run: Path) -> None:
    """Tell of a run: in a list, on its page, live, and beside itself."""
    from zerosum.callbacks.loggers.feed import entries_of
    from zerosum.comparison.compare import compare
    from zerosum.report.facts import collect
    from zerosum.report.page import page
    from zerosum.report.watch import Watch
    from zerosum.training.run_directory import RunDirectory
    from zerosum.training.run_list import list_runs

    list_runs(run.parent)
    Watch(run, language="en").news("")
    facts = collect(RunDirectory(run))
    page(facts, None, language="zh")
    list(entries_of(facts.history, {}))
    compare([run, RUN / "run"])


def of_run(file: str) -> Callable[[Path, bytes], None]:
    """Put a content into the run, and tell of it."""

    def attempt(folder: Path, content: bytes) -> None:
        run = fresh_run(folder)
        (run / file).write_bytes(content)
        if file == "log.jsonl":
            take_up(run)
        tell(run)

    return attempt


def remember(folder: Path, content: bytes) -> None:
    """Read what was sent to loggers; a ValueError says that it is damaged."""
    from zerosum.callbacks.loggers.feed import read_memory
    from zerosum.errors import UserError

    (folder / "loggers.json").write_bytes(content)
    try:
        read_memory(folder / "loggers.json")
    except ValueError as error:
        raise UserError(str(error)) from None


def settings(folder: Path, content: bytes) -> None:
    """Read a TOML file as `--config` does."""
    from zerosum.cli.train import choose, flags_of

    (folder / "settings.toml").write_bytes(content)
    chosen = choose(None, ["--config", str(folder / "settings.toml")])
    flags_of(chosen.recipe, chosen.file)
    values = {k: v for k, v in chosen.file.items() if k not in ("out", "seeds", "fresh")}
    chosen.recipe.configure(values)


# Data.


def as_data(
    name: str, others: Mapping[str, bytes] = MappingProxyType({})
) -> Callable[[Path, bytes], None]:
    """Load a folder, or the one file in it, that holds a content under a name."""

    def attempt(folder: Path, content: bytes) -> None:
        from zerosum.data import load
        from zerosum.data.decode import Format
        from zerosum.errors import UserError
        from zerosum.evaluation.stores import open_store

        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for other, inside in others.items():
            (folder / other).write_bytes(inside)
        path = folder / name
        path.write_bytes(content)
        is_file = name.endswith((".zip", ".npz", ".npy", "tar", "gz")) and "idx" not in name
        source = path if is_file else folder
        keep(load(source))
        for how in (
            {"size": (8, 8), "channels": 1},
            {"all_frames": True, "channels": 4},
            {"value_range": "auto", "strict": True},
        ):
            with suppress(UserError):  # points have no size, and pages may differ in theirs
                keep(load(source, **how))
        if is_file:
            open_store(source, Format(size=None, channels=None))

    return attempt


def keep(images: Any) -> None:
    """Take every image, as a training would."""
    import torch

    rows = torch.arange(len(images))
    taken = images.images[rows] if hasattr(images.images, "dtype") else images.images.take(rows)
    assert len(taken) == len(rows)
    assert images.labels is None or len(images.labels) == len(rows)


@cache
def shards() -> dict[str, bytes]:
    """A folder of shards, by name."""
    from zerosum.cli.main import run

    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name, "source"), Path(name, "shards")
        for number in range(6):
            (source / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels()[number]).save(source / "ab"[number % 2] / f"{number}.png")
        with redirect_stdout(io.StringIO()):
            if run(["data", "pack", str(source), "--out", str(out)]):
                raise RuntimeError("the images could not be packed")
        return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def shard(kind: str) -> bytes:
    """The index, the first tar or the labels of the shards."""
    return next(inside for name, inside in shards().items() if name.endswith(kind))


def load_shards(kind: str) -> Callable[[Path, bytes], None]:
    """Load shards of which one file has another content, which the index signs."""

    def attempt(folder: Path, content: bytes) -> None:
        from zerosum.data import load

        for name, inside in shards().items():
            wrong = name.endswith(kind)
            (folder / name).write_bytes(content if wrong else inside)
            if wrong and name != "index.json":
                index = shards()["index.json"].decode()
                was = hashlib.sha256(inside).hexdigest()
                index = index.replace(was, hashlib.sha256(content).hexdigest())
                told = json.loads(index)
                for split in told["splits"].values():
                    for file in [*split["shards"], *filter(None, [split["labels"]])]:
                        if file["file"] == name:
                            file["bytes"] = len(content)
                changed = json.dumps(told)
                (folder / "index.json").write_text(changed)
        if kind != "index.json" and not (folder / "index.json").exists():
            raise RuntimeError("no index")
        keep(load(folder))

    return attempt


def read_as(reader: str) -> Callable[[Path, bytes], None]:
    """Read an .npz of latents, statistics or directions."""

    def attempt(folder: Path, content: bytes) -> None:
        from zerosum.inference.direction_files import read_directions
        from zerosum.inference.latents import latents_of, read_latents
        from zerosum.metrics.statistics import are_statistics, read_statistics

        path = folder / ("x.npy" if content[:6] == b"\x93NUMPY" else "x.npz")
        path.write_bytes(content)
        if reader == "latents":
            latents = read_latents(path)
            latents_of(latents.z, None)
        elif reader == "directions":
            read_directions(path)
        else:
            are_statistics(path)
            read_statistics(path)

    return attempt


def archive_of(kind: str) -> bytes:
    """Images and labels in a zip or tar."""
    files = {
        "a/1.png": encoded("PNG", "L"),
        "b/2.jpg": encoded("JPEG", "L"),
        "dataset.json": b'{"labels": [["a/1.png", 0], ["b/2.jpg", 1]]}',
    }
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w") as archive:
            for name, inside in files.items():
                archive.writestr(name, inside)
    else:
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name, inside in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(inside)
                archive.addfile(info, io.BytesIO(inside))
    return content.getvalue()


def member(content: bytes, chance: mutations.Chance) -> bytes:
    """Change a member of an archive by what it is."""
    if content[:4] == b"\x89PNG":
        return mutations.png(content, chance)
    if content[:2] == b"\xff\xd8":
        return mutations.jpeg(content, chance)
    return mutations.json_text(content, chance)


def idx_of(array: Any) -> bytes:
    """An array of bytes as IDX."""
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


# What is exported.


def description() -> dict[str, Any]:
    """What the exported generator says of itself."""
    from zerosum.inference.description import Description

    return Description(channels=1, image_size=(8, 8), latent_size=3).to_json()


@cache
def exported() -> dict[str, bytes]:
    """An exported folder: its generator.json and its weights."""
    import safetensors.torch

    tensors = safetensors.torch.load((CHECKPOINT / "state.safetensors").read_bytes())
    weights = safetensors.torch.save(
        {
            name.removeprefix("average/"): tensor
            for name, tensor in tensors.items()
            if name.startswith("average/")
        }
    )
    told = json.loads((RUN / "run" / "config.json").read_bytes())
    facts = {key: told[key] for key in ("recipe", "config", "image_shape", "source_channels")}
    facts |= {"classes": told["classes"], "generator": description(), "reverse": False}
    facts["files"] = {"model.safetensors": signed(weights)}
    return {"generator.json": json.dumps(facts).encode(), "model.safetensors": weights}


def open_exported(file: str) -> Callable[[Path, bytes], None]:
    """Open an exported folder of which one file has another content, and make images."""

    def attempt(folder: Path, content: bytes) -> None:
        from zerosum.inference.exported import Exported

        files = exported() | {file: content}
        if file != "generator.json":
            facts = json.loads(files["generator.json"])
            facts["files"][file] = signed(content)
            files["generator.json"] = json.dumps(facts).encode()
        for name, inside in files.items():
            (folder / name).write_bytes(inside)
        Exported(folder).sample(2, device="cpu")

    return attempt


@cache
def onnx_file() -> bytes:
    """A generator of one layer, as an ONNX file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.full((3, 64), 0.1, np.float32), "w")
    shape = numpy_helper.from_array(np.array([-1, 1, 8, 8], np.int64), "s")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["z", "w"], ["x"]),
            helper.make_node("Tanh", ["x"], ["y"]),
            helper.make_node("Reshape", ["y", "s"], ["output"]),
        ],
        "G",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["b", 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["b", 1, 8, 8])],
        [weights, shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"zerosum": json.dumps(description())})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def open_onnx(folder: Path, content: bytes) -> None:
    """Open an ONNX file, and make images."""
    from zerosum.inference.exported import Exported

    (folder / "model.onnx").write_bytes(content)
    Exported(folder / "model.onnx").sample(2, device="cpu")


def describe_onnx(folder: Path, content: bytes) -> None:
    """Open an ONNX file that says this of itself, and make images."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(onnx_file())
    helper.set_model_props(model, {"zerosum": content.decode("utf-8", "replace")})
    open_onnx(folder, model.SerializeToString())


# Requests.


class Failed(Exception):
    """An answer that is none of ours."""


@cache
def server() -> Any:
    """A server that watches the run, and the list of what went wrong inside."""
    import sys

    from zerosum.report.watch import server_on

    opened = server_on(0, RUN / "run", language="en")
    wrong: list[BaseException] = []

    def note(request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            wrong.append(error)

    opened.handle_error = note
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    atexit.register(opened.shutdown)
    return opened, wrong


def ask(folder: Path, content: bytes) -> None:
    """Send a request, which may be several or none, and take all answers."""
    from zerosum.errors import UserError

    opened, wrong = server()
    content = content.replace(b"PORT", str(opened.server_port).encode())
    answer = bytearray()
    address = opened.server_address[:2]
    with (
        suppress(ConnectionError),  # it need not hear more than it can take
        socket.create_connection(address, timeout=10) as connection,
    ):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            answer += part
    if wrong:
        raise wrong.pop()
    if answer and (answer[:9] != b"HTTP/1.1 " or answer[9:12] not in ANSWERS):
        raise Failed(bytes(answer[:200]))
    if b"Traceback" in answer or (b"root:" in answer and b"/bin" in answer):
        raise Failed("it told what it must not")
    if answer[9:12] == b"500":
        raise Failed("500")
    if answer[9:12] != b"200":
        raise UserError("refused")


REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
    b"GET /data?have=abc HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nOrigin: http://127.0.0.1:PORT\r\n\r\n",
    b'HEAD / HTTP/1.1\r\nHost: localhost:PORT\r\nIf-None-Match: "x"\r\nConnection: close\r\n\r\n',
]


def read_fixture(*names: str) -> Callable[[], Sequence[bytes]]:
    """Files of the run that is kept."""
    return lambda: [(RUN / "run" / name).read_bytes() for name in names]


def once(*contents: Callable[[], bytes]) -> Callable[[], Sequence[bytes]]:
    """Contents that are made when they are asked for."""
    return lambda: [content() for content in contents]


NEWEST = f"checkpoints/{CHECKPOINT.name}"
LABELS = np.arange(6) % 2
TOML = b"""recipe = "dcgan"
data = "mnist"
epochs = 5
batch-size = 64
betas = [0.5, 0.999]
learning_rate = 2e-4
hflip = false
loss = "hinge"
evaluate_every = 1
out = "runs/x"
"""
TABLE = b"file,label\n1.png,cat\n2.png,dog\n"
TABLE_OF_NUMBERS = b"file,class\n1.png,0\n2.png,1\n"
JSON_LABELS = b'{"labels": [["1.png", 0], ["2.png", 1]]}'
IMAGES = {"1.png": encoded("PNG", "L"), "2.png": encoded("PNG", "L")}
PROGRESS = (
    b'{"seen": 240, "budget": 384, "state": "training", "images_per_second": 900.5, '
    b'"loss_D": 1.4, "loss_G": 0.7}'
)

TARGETS = [
    Target(
        "checkpoint: state.safetensors",
        read_fixture(f"{NEWEST}/state.safetensors"),
        mutations.safetensors_file,
        of_checkpoint("state.safetensors"),
    ),
    Target(
        "checkpoint: state.json",
        read_fixture(f"{NEWEST}/state.json"),
        mutations.json_text,
        of_checkpoint("state.json"),
    ),
    Target(
        "checkpoint: manifest.json",
        read_fixture(f"{NEWEST}/manifest.json"),
        mutations.json_text,
        of_checkpoint("manifest.json"),
    ),
    Target("config.json, sampled", read_fixture("config.json"), mutations.json_text, open_config),
    Target("config.json, resumed", read_fixture("config.json"), mutations.json_text, resume_config),
    Target(
        "config.json, told", read_fixture("config.json"), mutations.json_text, of_run("config.json")
    ),
    Target("log.jsonl", read_fixture("log.jsonl"), mutations.json_lines, of_run("log.jsonl")),
    Target("progress.json", lambda: [PROGRESS], mutations.json_text, of_run("progress.json")),
    Target(
        "data.json",
        lambda: [json.dumps({"train": {"origin": "x", "images": 64, "sizes": [[8, 8]]}}).encode()],
        mutations.json_text,
        of_run("data.json"),
    ),
    Target(
        "loggers.json",
        lambda: [b'{"identity": "x-1", "sent": {"tensorboard": 240}}'],
        mutations.json_text,
        remember,
    ),
    Target("--config, TOML", lambda: [TOML], mutations.toml, settings),
    Target(
        "npz of images",
        lambda: [
            saved(images=pixels(), labels=LABELS),
            saved(train_images=pixels(), train_labels=LABELS, test_images=pixels()),
            saved(x=np.zeros((4, 3, 8, 8), np.uint8), y=np.array(["a", "b", "a", "b"])),
            saved(images=np.full((4, 8, 8, 3), 9, np.uint16), layout=np.array("NHWC")),
            saved(points=np.zeros((9, 2), np.float32)),
        ],
        mutations.zipped(mutations.npy),
        as_data("x.npz"),
    ),
    Target(
        "npy of images",
        lambda: [zipfile.ZipFile(io.BytesIO(saved(x=pixels()))).read("x.npy")],
        mutations.npy,
        as_data("x.npy"),
    ),
    Target(
        "npz of latents",
        lambda: [
            saved(z=np.ones((4, 3), np.float32), classes=np.array(["a", "b"]), labels=LABELS[:4]),
            saved(z=np.ones((1, 3)), classes=np.array(["a"]), class_weights=np.ones((1, 1))),
            zipfile.ZipFile(io.BytesIO(saved(z=np.ones((4, 3))))).read("z.npy"),
        ],
        lambda content, chance: (
            mutations.npy(content, chance)
            if content[:1] == b"\x93"
            else mutations.zipped(mutations.npy)(content, chance)
        ),
        read_as("latents"),
    ),
    Target(
        "npz of statistics",
        lambda: [
            saved(mu=np.ones(4), sigma=np.eye(4)),
            saved(mu=np.ones(4), sigma=np.eye(4), count=np.array(9), features=np.array("random")),
        ],
        mutations.zipped(mutations.npy),
        read_as("statistics"),
    ),
    Target(
        "npz of directions",
        lambda: [saved(vectors=np.eye(3, dtype=np.float32), shares=np.ones(3, np.float32) / 3)],
        mutations.zipped(mutations.npy),
        read_as("directions"),
    ),
    Target(
        "IDX of images",
        lambda: [idx_of(pixels())],
        mutations.idx,
        as_data("train-images-idx3-ubyte"),
    ),
    Target(
        "IDX of labels",
        lambda: [idx_of(LABELS.astype(np.uint8))],
        mutations.idx,
        as_data("train-labels-idx1-ubyte", {"train-images-idx3-ubyte": idx_of(pixels())}),
    ),
    Target(
        "IDX, gzipped",
        lambda: [gzip.compress(idx_of(pixels()), mtime=0)],
        mutations.gzipped(mutations.idx),
        as_data("train-images-idx3-ubyte.gz"),
    ),
    Target(
        "CIFAR-10",
        lambda: [bytes(3073 * 2)],
        mutations.raw,
        as_data(
            "data_batch_1.bin", {f"data_batch_{each}.bin": bytes(3073) for each in range(2, 6)}
        ),
    ),
    Target(
        "PNG",
        lambda: [
            encoded("PNG", "L"),
            encoded("PNG", "P"),
            encoded("PNG", "RGBA"),
            encoded("PNG", "I;16"),
            encoded("PNG", "RGB", frames=True),
        ],
        mutations.png,
        as_data("0.png", IMAGES),
    ),
    Target(
        "JPEG",
        lambda: [encoded("JPEG"), encoded("JPEG", "CMYK"), encoded("JPEG", progressive=True)],
        mutations.jpeg,
        as_data("0.jpg", IMAGES),
    ),
    Target(
        "GIF",
        lambda: [encoded("GIF", "P"), encoded("GIF", "P", frames=True)],
        mutations.raw,
        as_data("0.gif", IMAGES),
    ),
    Target(
        "WebP",
        lambda: [encoded("WEBP"), encoded("WEBP", "RGBA", lossless=True, frames=True)],
        mutations.raw,
        as_data("0.webp", IMAGES),
    ),
    Target(
        "TIFF",
        lambda: [
            encoded("TIFF"),
            encoded("TIFF", "L", compression="tiff_lzw", frames=True),
            encoded("TIFF", "F"),
            encoded("TIFF", compression="jpeg"),
        ],
        mutations.raw,
        as_data("0.tif", IMAGES),
    ),
    Target("BMP", lambda: [encoded("BMP"), encoded("BMP", "1")], mutations.raw, as_data("0.bmp")),
    Target("zip", once(lambda: archive_of("zip")), mutations.zipped(member), as_data("x.zip")),
    Target("tar", once(lambda: archive_of("tar")), mutations.tarred(member), as_data("x.tar")),
    Target(
        "tar.gz",
        once(lambda: gzip.compress(archive_of("tar"), mtime=0)),
        mutations.gzipped(mutations.tarred(member)),
        as_data("x.tar.gz"),
    ),
    Target(
        "dataset.json",
        lambda: [JSON_LABELS],
        mutations.json_text,
        as_data("dataset.json", IMAGES),
    ),
    Target(
        "labels.csv",
        lambda: [TABLE, TABLE_OF_NUMBERS],
        mutations.table,
        as_data("labels.csv", IMAGES),
    ),
    Target(
        "shards: index.json",
        once(lambda: shard("index.json")),
        mutations.json_text,
        load_shards("index.json"),
    ),
    Target(
        "shards: tar",
        once(lambda: shard(".tar")),
        mutations.tarred(member),
        load_shards(".tar"),
    ),
    Target(
        "shards: labels",
        once(lambda: shard(".npy")),
        mutations.npy,
        load_shards(".npy"),
    ),
    Target(
        "export: generator.json",
        once(lambda: exported()["generator.json"]),
        mutations.json_text,
        open_exported("generator.json"),
    ),
    Target(
        "export: model.safetensors",
        once(lambda: exported()["model.safetensors"]),
        mutations.safetensors_file,
        open_exported("model.safetensors"),
    ),
    Target("ONNX", once(onnx_file), mutations.protobuf, open_onnx, needs="onnxruntime"),
    Target(
        "ONNX: what it says of itself",
        once(lambda: json.dumps(description()).encode()),
        mutations.json_text,
        describe_onnx,
        needs="onnxruntime",
    ),
    Target("requests to watch", lambda: REQUESTS, mutations.http_request, ask),
]
