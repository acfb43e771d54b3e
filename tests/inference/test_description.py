"""What an exported generator says of itself, there and back."""

import json

import pytest

from zerosum.data.spec import DataSpec
from zerosum.inference.description import Description, NoiseInput

OF_NOISE = Description(channels=1, image_size=(28, 28), latent_size=100, classes=("a", "b"))
OF_IMAGES = Description(
    channels=1,
    image_size=(30, 40),
    source_channels=3,
    multiple=16,
    least_side=16,
    noise=(NoiseInput(name="noise_0", channels=8, divisor=4, keep=0.5),),
    data="cats",
)


@pytest.mark.parametrize("description", [OF_NOISE, OF_IMAGES])
def test_there_and_back(description):
    assert Description.from_json(json.loads(json.dumps(description.to_json()))) == description


def test_what_follows_from_it():
    assert OF_NOISE.input_names == ("z", "classes")
    assert [each.shape for each in OF_NOISE.inputs] == [(100,), (2,)]
    assert OF_IMAGES.input_names == ("images", "noise_0")
    assert OF_IMAGES.spec == DataSpec(shape=(4, 30, 40), source_channels=3)
    assert Description(channels=2, image_size=(1, 1), latent_size=2).are_points
    assert not OF_NOISE.are_points


NOISE = {"name": "noise_0", "channels": 8, "divisor": 4, "keep": 0.5}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": None}, "format"),
        ({"channels": True}, "channels"),
        ({"channels": 0}, "channels"),
        ({"image_size": [30]}, "sides|image_size|unpack"),
        ({"image_size": "ab"}, "image_size"),
        ({"multiple": 10**9}, "multiple"),
        ({"least_side": 24}, "no multiple"),
        ({"latent_size": 3}, "both"),
        ({"noise": [NOISE | {"name": "noise_1"}]}, "noise 0"),
        ({"noise": [NOISE | {"keep": 0}]}, "keep"),
        ({"noise": [NOISE | {"keep": "1"}]}, "keep"),
        ({"noise": [NOISE | {"divisor": 3}]}, "divisor"),
        ({"noise": [None]}, "noise 0"),
        ({"noise": {}}, "no list"),
        ({"classes": None}, "no list"),
    ],
)
def test_what_is_none(change, said):
    with pytest.raises(ValueError, match=said):
        Description.from_json({**json.loads(json.dumps(OF_IMAGES.to_json())), **change})


@pytest.mark.parametrize("told", [None, [], 3, "x"])
def test_what_is_no_object(told):
    with pytest.raises(ValueError, match="no JSON object"):
        Description.from_json(told)
