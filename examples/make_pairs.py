"""From a folder of photographs to pairs for Pix2Pix: the edges of each photograph, and itself.

    python examples/make_pairs.py photos/ pairs/ --size 128

writes pairs/A/train/*.png (edges, black on white) and pairs/B/train/*.png (photographs), and every
tenth of both to val/. Then: zerosum train pix2pix --data pairs --size 128
"""

import argparse
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def edges(photo):
    """The outlines of an RGB image, as a pen would draw them: dark on white."""
    smooth = photo.convert("L").filter(ImageFilter.GaussianBlur(photo.width / 128))
    found = ImageOps.autocontrast(smooth.filter(ImageFilter.FIND_EDGES), cutoff=(0, 2))
    # FIND_EDGES takes the image's border for an edge.
    inside = ImageOps.crop(found, 2)
    return ImageOps.invert(ImageOps.expand(inside, 2, fill=0))


def main():
    """Write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--size", type=int, default=128, help="of the square that is cut out")
    arguments = parser.parse_args()
    files = sorted(p for p in arguments.photos.iterdir() if p.suffix.lower() in SUFFIXES)
    for index, file in enumerate(files):
        split = "val" if index % 10 == 9 else "train"
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        photo = ImageOps.fit(upright, (arguments.size, arguments.size), Image.Resampling.LANCZOS)
        for domain, picture in (("A", edges(photo)), ("B", photo)):
            folder = arguments.pairs / domain / split
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{file.stem}.png")
    print(f"Wrote {len(files)} pairs to {arguments.pairs}.")


if __name__ == "__main__":
    main()
