"""How much memory large sets of samples take, to write and to evaluate: it must not grow with them.

    python benchmarks/sample_memory.py                     # 10,000 against 100,000 samples
    python benchmarks/sample_memory.py --count 1000 --times 10

Each command is one a user would give, in a process of its own, on one thread; what is reported is
the largest private memory (RssAnon, Linux) that it had, read from /proc every 10 ms. The runs,
vanilla and cgan on MNIST after 0.1 epochs, are made first; what they look like does not matter
here. Sets to evaluate are .npz files of noise, with a feature net of 64 numbers, so that it is
their reading that counts. All files are in a temporary folder and go again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

SIDE, CHUNK = 28, 10_000
FORMS = {
    "PNGs": ("vanilla", ["--out", "OUT"]),
    "`.npz`": ("vanilla", ["--out", "OUT.npz"]),
    "tars": ("vanilla", ["--out", "OUT", "--format", "webdataset"]),
    "Parquet (`cgan`)": ("cgan", ["--out", "OUT", "--format", "parquet"]),
}
FEATURES = """
import torch

def features(images):
    return images.float().flatten(1)[:, :64]
"""


def peak_of(*tokens: str | Path, folder: Path) -> float:
    """Run a command of zerosum in a folder; the largest private memory that it had, in MiB."""
    command = [sys.executable, "-m", "zerosum", *map(str, tokens)]
    where = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, cwd=folder, env=where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        most = 0
        while process.poll() is None:
            most = max(most, private_memory(process.pid))
            time.sleep(0.01)
        if process.returncode:
            sys.exit(process.stderr.read() if process.stderr else "")
    return most / 1024


def private_memory(pid: int) -> int:
    """RssAnon of a process, in KiB; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def write_noise(path: Path, count: int, *, seed: int) -> None:
    """Write an .npz of so many images of noise, some at a time."""
    numbers = np.random.default_rng(seed)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, SIDE, SIDE)}
    with zipfile.ZipFile(path, "w") as file, file.open("images.npy", "w", force_zip64=True) as out:
        np.lib.format.write_array_header_1_0(out, header)
        for start in range(0, count, CHUNK):
            size = min(CHUNK, count - start)
            out.write(numbers.integers(0, 256, (size, SIDE, SIDE), np.uint8).data)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="samples of the smaller sets")
    parser.add_argument("--times", type=int, default=10, help="how much larger the others are")
    wish = parser.parse_args()
    counts = [wish.count, wish.count * wish.times]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for recipe in ("vanilla", "cgan"):
            few = ["--images", "6000", "--evaluate-every", "0", "--out", f"runs/{recipe}"]
            peak_of("train", recipe, *few, folder=folder)
        print(f"| | {' | '.join(f'{count:,} images' for count in counts)} |\n|---|---|---|")
        for number, (title, (recipe, flags)) in enumerate(FORMS.items()):
            peaks = []
            for count in counts:
                told = [flag.replace("OUT", f"{number}-{count}") for flag in flags]
                peaks.append(peak_of("sample", recipe, "-n", str(count), *told, folder=folder))
            print(f"| {title} | {' | '.join(f'{peak:.0f} MiB' for peak in peaks)} |", flush=True)
        (folder / "few.py").write_text(FEATURES)
        peaks = []
        for count in counts:
            for seed in (0, 1):
                write_noise(folder / f"{seed}.npz", count, seed=seed)
            flags = ["--features", "few:features", "--metrics", "fid,kid", "--count", str(count)]
            told = ["evaluate", "0.npz", "--reference", "1.npz", *flags]
            peaks.append(peak_of(*told, folder=folder))
        print(f"| evaluated: two `.npz` | {' | '.join(f'{peak:.0f} MiB' for peak in peaks)} |")


if __name__ == "__main__":
    main()
