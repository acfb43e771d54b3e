from pathlib import Path

import pytest
import torch

from zerosum.data.images import ImageSet, safe_name, to_float, to_uint8

EVERY_VALUE = torch.arange(256, dtype=torch.uint8)


def image_set(images: torch.Tensor, labels: torch.Tensor | None = None) -> ImageSet:
    return ImageSet(images=images, labels=labels, classes=(), name="some")


def test_scaling_goes_from_minus_one_to_one_and_back_without_loss():
    scaled = to_float(EVERY_VALUE)
    assert scaled.dtype == torch.float32
    assert (scaled.min(), scaled.max()) == (-1, 1)
    assert torch.equal(scaled, EVERY_VALUE.float().div(127.5).sub(1))
    assert torch.equal(to_uint8(scaled), EVERY_VALUE)


def test_scaling_leaves_its_input_alone():
    floats = torch.tensor([0.0, 255.0])
    to_float(floats)
    to_uint8(floats)
    assert floats.tolist() == [0, 255]


def test_to_uint8_clamps():
    assert to_uint8(torch.tensor([-3.0, 1.01, 1e9])).tolist() == [0, 255, 255]


def test_to_uint8_does_not_scale_in_half_precision():
    half = torch.tensor([0.5], dtype=torch.bfloat16)
    assert to_uint8(half).tolist() == to_uint8(half.float()).tolist() == [191]


def test_shape_and_length():
    images = image_set(torch.zeros(5, 3, 8, 4, dtype=torch.uint8))
    assert (len(images), images.shape) == (5, (3, 8, 4))


def test_fingerprint_sees_shape_pixels_and_labels():
    pixels = torch.arange(16, dtype=torch.uint8)
    labels = torch.tensor([0, 1])
    different = [
        image_set(pixels.view(2, 1, 2, 4)),
        image_set(pixels.view(2, 1, 4, 2)),
        image_set(pixels.flip(0).view(2, 1, 2, 4)),
        image_set(pixels.view(2, 1, 2, 4), labels),
        image_set(pixels.view(2, 1, 2, 4), labels.flip(0)),
    ]
    assert len({images.fingerprint() for images in different}) == len(different)
    assert different[0].fingerprint() == image_set(pixels.view(2, 1, 2, 4).clone()).fingerprint()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("photos/cats.zip", "cats"),
        ("cats.tar.gz", "cats"),
        ("cats.TGZ", "cats"),
        ("cats v1.0", "cats-v1.0"),
        ("…/a:b*c", "a-b-c"),
        ("猫", "猫"),
        ("/", "images"),
        ("x" * 200, "x" * 64),
    ],
)
def test_name_is_safe_in_a_file_name(path, name):
    assert safe_name(Path(path)) == name


def test_name_of_the_working_folder_is_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert safe_name(Path()) == safe_name(tmp_path)
