from pathlib import Path

import pytest
import torch

from zerosum.data.images import (
    ImageSet,
    at_rest,
    safe_name,
    to_array,
    to_float,
    to_tensor,
    to_uint8,
)

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


class TestPoints:
    """Points in the plane, which pass for images of two channels and one pixel."""

    POINTS = torch.tensor([[0.1, -0.9], [1 / 3, 1.5], [0, 0]]).view(3, 2, 1, 1)

    def test_are_told_from_images_by_their_shape(self):
        others = [torch.zeros(1, *shape) for shape in [(1, 1, 2), (3, 1, 1), (1, 28, 28)]]
        assert {at_rest(images).dtype for images in others} == {torch.uint8}

    def test_are_floats_inside_and_outside_and_never_rounded(self):
        assert torch.equal(to_float(self.POINTS), self.POINTS)
        assert torch.equal(at_rest(self.POINTS), self.POINTS)
        assert at_rest(self.POINTS.bfloat16()).dtype == torch.float32

    def test_are_pairs_outside(self):
        array = to_array(self.POINTS)
        assert (array.shape, array.dtype) == ((3, 2), "float32")
        assert array[0].tolist() == pytest.approx([0.1, -0.9])
        assert torch.equal(to_tensor(array), self.POINTS)

    def test_have_a_fingerprint(self):
        nearly = self.POINTS + torch.tensor(1e-6)
        assert len({image_set(points).fingerprint() for points in (self.POINTS, nearly)}) == 2


def test_images_go_outside_and_back():
    images = torch.arange(48, dtype=torch.uint8).view(2, 3, 2, 4)
    assert torch.equal(at_rest(to_float(images)), images)
    array = to_array(images)
    assert array.shape == (2, 2, 4, 3)
    assert array[1, 0, 3].tolist() == images[1, :, 0, 3].tolist()
    assert torch.equal(to_tensor(array), images)


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
