"""A load test of `zerosum watch`: many browsers at once, while a training runs.

Trains twice for as long, alone and watched by 200 clients that ask for news without a pause, and
says how many answers they got a second, how long they waited, and what the training lost:

    python benchmarks/watch.py
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLIENTS, SECONDS = 200, 10
PORT = 8699


def begin_training(out: Path) -> subprocess.Popen[bytes]:
    """Begin a training that outlasts the measurement, and wait until it is under way."""
    command = [sys.executable, "-m", "zerosum", "train", "vanilla", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while seen(out) == 0:
        time.sleep(0.2)
    time.sleep(2)
    return process


def seen(out: Path) -> int:
    """Images seen so far, by the progress file."""
    try:
        return int(json.loads((out / "progress.json").read_text())["seen"])
    except (OSError, ValueError, KeyError):
        return 0


def pace(out: Path, seconds: float) -> float:
    """Images a second over some seconds, to the second in which progress is written."""
    before, start = seen(out), time.monotonic()
    time.sleep(seconds)
    return (seen(out) - before) / (time.monotonic() - start)


async def client(until: float, waits: list[float]) -> None:
    """One browser: it asks for news on one connection and sends the ETag that it has."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    etag, have = "", ""
    while time.monotonic() < until:
        start = time.monotonic()
        known = f"If-None-Match: {etag}\r\n" if etag else ""
        request = f"GET /data?have={have} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n{known}\r\n"
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        content = await reader.readexactly(int(headers.get("Content-Length", 0)))
        waits.append(time.monotonic() - start)
        assert head.split()[1] in ("200", "304"), head
        if content:
            have = json.loads(content)["have"]
        etag = headers["ETag"]
    writer.close()


async def load(seconds: float) -> list[float]:
    """All clients at once; how long each answer took, in seconds."""
    waits: list[float] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(until, waits) for _ in range(CLIENTS)))
    return sorted(waits)


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        training = begin_training(out)
        command = [sys.executable, "-m", "zerosum", "watch", str(out), "--port", str(PORT)]
        watch = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert watch.stdout is not None
        watch.stdout.readline()
        time.sleep(2)
        os.nice(10)  # the clients are a measuring device, and not what the training competes with
        try:
            alone = pace(out, SECONDS)
            before, start = seen(out), time.monotonic()
            waits = asyncio.run(load(SECONDS))
            watched = (seen(out) - before) / (time.monotonic() - start)
        finally:
            watch.terminate()
            training.terminate()
            training.wait()
            watch.wait()
    p50, p99 = (waits[int(share * (len(waits) - 1))] for share in (0.5, 0.99))
    print(f"{CLIENTS} clients for {SECONDS} s: {len(waits) / SECONDS:,.0f} requests/s")
    print(f"waits: median {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms")
    print(f"training: {alone:,.0f} images/s alone, {watched:,.0f} under load")


if __name__ == "__main__":
    main()
