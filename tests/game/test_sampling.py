"""What a G takes, how it is drawn, and what comes of it."""

import pytest
import torch

from zerosum.errors import UserError
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import (
    Generator,
    class_index,
    draw_inputs,
    generate,
    image_inputs,
    noise_inputs,
)
from zerosum.nets import mlp

CPU = torch.device("cpu")


class TestDraw:
    CLASSES = noise_inputs(4, 3)

    def test_pictures_go_through_all_classes_in_turn(self):
        z, classes = draw_inputs(self.CLASSES, 7, CPU)
        assert z.shape == (7, 4)
        assert classes.argmax(1).tolist() == [0, 1, 2, 0, 1, 2, 0]
        assert classes.sum(1).tolist() == [1.0] * 7

    def test_or_are_all_of_the_class_that_was_asked_for(self):
        _, classes = draw_inputs(self.CLASSES, 4, CPU, label=2)
        assert classes.argmax(1).tolist() == [2, 2, 2, 2]

    @pytest.mark.parametrize("label", [-1, 3])
    def test_a_class_that_is_none(self, label):
        with pytest.raises(UserError, match=f"The label was {label}: expected one of 0, 1, 2"):
            draw_inputs(self.CLASSES, 1, CPU, label=label)

    def test_a_label_for_a_G_that_knows_none(self):
        with pytest.raises(UserError, match="knows no classes"):
            draw_inputs(noise_inputs(4), 1, CPU, label=0)

    def test_without_a_label_z_is_what_it_is_with_one(self):
        drawn = []
        for label in (None, 1):
            torch.manual_seed(3)
            drawn.append(draw_inputs(self.CLASSES, 5, CPU, label=label)[0])
        assert drawn[0].equal(drawn[1])

    NAMES = ("cats", "dogs", "small birds")

    @pytest.mark.parametrize(
        ("label", "names", "index"),
        [
            ("dogs", NAMES, 1),
            ("small birds", NAMES, 2),
            (2, NAMES, 2),
            ("0", NAMES, 0),
            (7, ("3", "7"), 1),
            ("3", ("3", "7"), 0),
            ("-1", ("-1", "1"), 0),
            (1, ("1", "cats"), 0),
            (0, ("1", "cats"), 0),
        ],
    )
    def test_a_class_goes_by_its_name_before_its_number(self, label, names, index):
        assert class_index(label, names) == index

    @pytest.mark.parametrize(
        ("label", "names", "said"),
        [
            ("cat", NAMES, "no class 'cat'.* 'cats'.* Valid names: cats, dogs, small"),
            (3, NAMES, "was 3: expected 0 to 2, or one of the names: cats, dogs, small birds"),
            (-1, NAMES, "was -1: expected 0 to 2"),
            (0, ("3", "7"), "was 0: expected one of 3, 7"),
            (1.5, NAMES, "no class '1.5'"),
        ],
    )
    def test_who_is_no_class_is_told_the_names(self, label, names, said):
        with pytest.raises(UserError, match=said):
            class_index(label, names)

    def test_a_mix_is_between_classes_and_z_as_without(self):
        torch.manual_seed(3)
        plain, _ = draw_inputs(self.CLASSES, 2, CPU)
        torch.manual_seed(3)
        mix = {"dogs": 3, "cats": 1.0, 2: 0}
        z, classes = draw_inputs(self.CLASSES, 2, CPU, class_mix=mix, names=self.NAMES)
        assert classes.tolist() == [[0.25, 0.75, 0.0]] * 2
        assert z.equal(plain)

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"class_mix": {0: -1}}, "weight of '0' in the mix of classes was -1"),
            ({"class_mix": {0: float("nan")}}, "was nan"),
            ({"class_mix": {0: 0}}, "names none"),
            ({"class_mix": {}}, "names none"),
            ({"class_mix": {"9": 1}}, "was 9: expected one of 0, 1, 2"),
            ({"class_mix": {0: 1}, "label": 0}, "both a label and a mix"),
        ],
    )
    def test_a_mix_that_is_none(self, how, said):
        with pytest.raises(UserError, match=said):
            draw_inputs(self.CLASSES, 1, CPU, **how)

    def test_truncation_scales_z(self):
        drawn = []
        for truncation in (1.0, 0.5, 0.0):
            torch.manual_seed(3)
            drawn.append(draw_inputs(self.CLASSES, 5, CPU, truncation=truncation)[0])
        whole, half, none = drawn
        assert half.equal(whole * 0.5)
        assert not none.any()

    def test_z_is_moved_and_then_truncated(self):
        move = torch.tensor([1.0, 0, -2, 0])
        drawn = []
        for how in ({}, {"move": move}, {"move": move, "truncation": 0.5}):
            torch.manual_seed(3)
            drawn.append(draw_inputs(self.CLASSES, 5, CPU, **how)[0])
        whole, moved, truncated = drawn
        assert moved.equal(whole + move)
        assert truncated.equal((whole + move) * 0.5)

    @pytest.mark.parametrize(
        ("move", "said"),
        [
            (torch.zeros(3), "a z of 3 numbers: this G takes 4"),
            (torch.tensor([0, 0, 0, torch.nan]), "NaN or infinity"),
        ],
    )
    def test_a_move_that_is_none(self, move, said):
        with pytest.raises(UserError, match=said):
            draw_inputs(self.CLASSES, 5, CPU, move=move)

    def test_classes_can_be_told_one_by_one(self):
        told = torch.tensor([[0.5, 0.5, 0], [0, 0, 1]])
        assert draw_inputs(self.CLASSES, 2, CPU, classes=told)[1].equal(told)

    def test_images_are_not_drawn(self):
        with pytest.raises(UserError, match="nothing of noise"):
            draw_inputs(image_inputs(3), 1, CPU)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_generator_is_fed_what_it_says_it_takes(num_classes):
    net = mlp.Generator((1, 2, 3), latent_size=4, hidden=[5], condition_size=num_classes)
    G = Generator(net, noise_inputs(4, num_classes))
    assert G.inputs[0] == GeneratorInput("z", (4,), "latent")
    assert [each.kind for each in G.inputs[1:]] == ["class"] * (num_classes > 0)
    images = generate(G, draw_inputs(G.inputs, 7, CPU))
    assert (images.shape, images.dtype) == ((7, 1, 2, 3), torch.uint8)


def test_points_stay_as_fine_as_they_are():
    G = Generator(torch.nn.Identity(), image_inputs(2))
    points = torch.randn(5, 2, 1, 1)
    assert torch.equal(generate(G, [points]), points)
