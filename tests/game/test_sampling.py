"""What a G takes, how it is drawn, and what comes of it."""

import pytest
import torch

from zerosum.errors import UserError
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import Generator, draw_inputs, generate, image_inputs, noise_inputs
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
        with pytest.raises(UserError, match=f"The label was {label}: expected 0 to 2"):
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
