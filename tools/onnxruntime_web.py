"""Makes zerosum/pages/onnxruntime anew: the runtime that pages made by `zerosum play` carry.

    python tools/onnxruntime_web.py [VERSION]

It needs npm, pip and a network. npm checks the package against the registry's own hash; the files
are taken out of it as they are, compressed so that equal files give equal bytes, and their sha256
is written down in `onnxruntime.json`, which `zerosum play` holds them to. The notices of the
libraries that are compiled in come from the Python package of the same version, since npm's has
none. Then LICENSES.md needs the new files' sha256; its test says so.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

VERSION = "1.30.0"
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
HOME = Path(__file__).resolve().parent.parent / "zerosum" / "pages" / "onnxruntime"


def notices(version: str, folder: Path) -> bytes:
    """What ONNX Runtime says of the libraries inside it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    subprocess.run([*command, f"onnxruntime=={version}"], check=True)
    (wheel,) = folder.glob("onnxruntime-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("onnxruntime/ThirdPartyNotices.txt")


def main(version: str) -> None:
    """Fetch one version and write its files."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "npm",
            "pack",
            "--silent",
            f"onnxruntime-web@{version}",
            "--pack-destination",
            folder,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(folder).glob("*.tgz")
        sums = {}
        with tarfile.open(packed) as archive:
            for name in FILES:
                member = archive.extractfile(f"package/dist/{name}")
                assert member is not None
                content = member.read()
                sums[name] = hashlib.sha256(content).hexdigest()
                (HOME / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
        (HOME / "ThirdPartyNotices.txt").write_bytes(notices(version, Path(folder)))
    about = {"package": "onnxruntime-web", "version": version, "licence": "MIT", "sha256": sums}
    (HOME / "onnxruntime.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"Wrote {len(FILES)} files of onnxruntime-web {version} into {HOME}.")


if __name__ == "__main__":
    main(*(sys.argv[1:2] or [VERSION]))
