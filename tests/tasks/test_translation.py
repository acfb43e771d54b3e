"""What the task of translating shows and measures, by nets whose outputs are known beforehand."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from zerosum import recipes
from zerosum.config.translation import CycleGANSettings, Pix2PixSettings
from zerosum.data.images import ImageSet, to_float, to_uint8
from zerosum.errors import UserError
from zerosum.game.core import Game, Player
from zerosum.game.cycle import CycleTranslation, GeneratorPair
from zerosum.game.pool import Pool
from zerosum.game.translation import Translation as PairedDeal
from zerosum.game.translation import Views
from zerosum.metrics.features import feature_net
from zerosum.metrics.frechet import distance_of_moments
from zerosum.metrics.paired import psnr, ssim
from zerosum.metrics.registry import LEAST_IMAGES
from zerosum.plots.grids import GAP
from zerosum.tasks import TASKS
from zerosum.tasks.translation import (
    CHUNK,
    EXAMINED,
    STRIPS,
    Translation,
    evenly,
    in_channels_of,
    moments,
)
from zerosum.training.ema import EMA
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State

MATCHED, UNMATCHED = Translation(matched=True), Translation(matched=False)


class Plus(nn.Module):
    """x -> x + shift, of as many channels as it is told."""

    def __init__(self, shift=0.0, channels=None):
        super().__init__()
        self.shift, self.channels = nn.Parameter(torch.tensor(shift)), channels

    def forward(self, images):
        return images[:, : self.channels] + self.shift


def state_of(G, *, source_channels=1, cycle=False):
    """A state whose average of G is G."""
    if cycle:
        pools = (Pool(0, (1, 1, 1)), Pool(0, (1, 1, 1)))
        deal = CycleTranslation(source_channels=source_channels, views=Views(), pools=pools)
    else:
        deal = PairedDeal(source_channels=source_channels, views=Views())
    players = [
        Player(net=net, optimizer=torch.optim.SGD(net.parameters()), objective={})
        for net in (G, Plus())
    ]
    game = Game(G=players[0], D=players[1], forward=deal)
    return State(game, EMA(G, half_life=0))


def images_of(count, *, size=(16, 16), channels=2, source_channels=1, low=0, high=256):
    numbers = np.random.default_rng(count)
    pixels = numbers.integers(low, high, (count, channels, *size), np.uint8)
    return ImageSet(
        images=torch.from_numpy(pixels),
        labels=None,
        classes=(),
        name="some",
        source_channels=source_channels,
    )


def with_equal_sides(images):
    """The same set with its sources for targets."""
    images.images[:, 1:] = images.images[:, :1]
    return images


def figures_of(task, state, held_out, tmp_path):
    evaluate = task.evaluator(state, Pix2PixSettings(), held_out, held_out)
    found = evaluate(History())
    assert found.health is None
    return found.metrics


class TestTasks:
    def test_each_recipe_names_one(self):
        for recipe in recipes.RECIPES.values():
            assert recipe.task in TASKS
        assert TASKS[recipes.get("pix2pix").task].matched
        assert not TASKS[recipes.get("cyclegan").task].matched

    def test_what_they_train_on_is_described(self):
        images = torch.zeros((3, 4, 8, 8), dtype=torch.uint8)
        pairs = ImageSet(name="", images=images, labels=None, classes=(), source_channels=1)
        assert MATCHED.describe(pairs) == "pairs of images of 8×8"
        assert UNMATCHED.describe(pairs) == "unpaired images of 8×8"

    def test_what_to_try_next_names_the_run(self):
        assert MATCHED.next_steps("'my run'") == [
            "zerosum translate 'my run' IMAGE-OR-FOLDER --out PATH",
            "zerosum play 'my run' --open",
        ]

    def test_one_pair_can_be_examined_but_distributions_need_more(self):
        assert MATCHED.least_images == 1
        assert UNMATCHED.least_images == LEAST_IMAGES


class TestCloseness:
    def test_a_g_that_returns_the_target_is_as_close_as_can_be(self, tmp_path):
        held_out = with_equal_sides(images_of(CHUNK + 1))
        found = figures_of(MATCHED, state_of(Plus()), held_out, tmp_path)
        assert list(found) == ["val_l1", "val_ssim", "val_psnr"]
        assert found["val_l1"] == 0
        assert found["val_ssim"] == pytest.approx(1)
        assert found["val_psnr"] == 100  # and not infinity

    def test_levels_off_by_a_constant(self, tmp_path):
        # 51 of 255 levels are 0.4 of the range from -1 to 1.
        held_out = with_equal_sides(images_of(3, high=200))
        found = figures_of(MATCHED, state_of(Plus(0.4)), held_out, tmp_path)
        assert found["val_l1"] == pytest.approx(0.4, rel=1e-5)
        assert found["val_psnr"] == pytest.approx(20 * math.log10(255 / 51), rel=1e-6)
        assert 0 < found["val_ssim"] < 1

    def test_they_are_the_means_over_all_images(self, tmp_path):
        held_out = images_of(CHUNK + 2)
        found = figures_of(MATCHED, state_of(Plus()), held_out, tmp_path)
        pairs = [(image[:1], image[1:]) for image in held_out.images]
        gaps = [(to_float(one) - to_float(other)).abs().mean().item() for one, other in pairs]
        assert found["val_l1"] == pytest.approx(np.mean(gaps), rel=1e-5)
        assert found["val_psnr"] == pytest.approx(np.mean([psnr(*pair) for pair in pairs]))
        assert found["val_ssim"] == pytest.approx(np.mean([ssim(*pair) for pair in pairs]))

    def test_images_smaller_than_its_window_have_no_ssim(self, tmp_path):
        found = figures_of(MATCHED, state_of(Plus()), images_of(2, size=(10, 16)), tmp_path)
        assert list(found) == ["val_l1", "val_psnr"]

    def test_it_is_the_average_of_g_that_is_examined(self, tmp_path):
        held_out = with_equal_sides(images_of(2, high=200))
        state = state_of(Plus())
        with torch.no_grad():
            state.game.G.net.shift += 0.4
        assert figures_of(MATCHED, state, held_out, tmp_path)["val_l1"] == 0

    def test_an_examination_draws_from_a_stream_of_its_own(self, tmp_path):
        class Noisy(Plus):
            def forward(self, images):
                return images + torch.rand_like(images)

        state, held_out = state_of(Noisy()), images_of(3)
        first = figures_of(MATCHED, state, held_out, tmp_path)
        torch.rand(5)
        assert figures_of(MATCHED, state, held_out, tmp_path) == first


class TestLikeness:
    @pytest.mark.parametrize("world", [2, 5])
    def test_shared_out_it_is_the_same_to_the_last_bit(self, tmp_path, in_shares, world):
        held_out = images_of(14)
        state = state_of(GeneratorPair(AB=Plus(0.3), BA=Plus(-0.2)), cycle=True)
        whole = figures_of(UNMATCHED, state, held_out, tmp_path)
        shared = in_shares(world, lambda: figures_of(UNMATCHED, state, held_out, tmp_path))
        assert shared == whole

    def test_ways_that_give_the_other_domain_are_at_no_distance(self, tmp_path):
        held_out = with_equal_sides(images_of(12))
        state = state_of(GeneratorPair(AB=Plus(), BA=Plus()), cycle=True)
        found = figures_of(UNMATCHED, state, held_out, tmp_path)
        assert list(found) == ["frechet_random", "frechet_random_A", "frechet_random_B"]
        assert max(map(abs, found.values())) < 1e-3

    def test_each_domain_is_held_against_its_own_fakes_and_the_first_is_the_mean(self, tmp_path):
        held_out = images_of(12)
        held_out.images[:, 1:] //= 4  # B is dark
        A, B = held_out.images.split(1, dim=1)
        state = state_of(GeneratorPair(AB=Plus(), BA=Plus(0.2)), cycle=True)
        found = figures_of(UNMATCHED, state, held_out, tmp_path)
        net = feature_net("random", device=torch.device("cpu"))
        brighter = to_uint8(to_float(B) + 0.2)
        for domain, fake, real in (("A", brighter, A), ("B", A, B)):
            expected = distance_of_moments(moments(net, fake), moments(net, real))
            assert found[f"frechet_random_{domain}"] == pytest.approx(expected)
        assert found["frechet_random_A"] != pytest.approx(found["frechet_random_B"], rel=0.01)
        both = found["frechet_random_A"] + found["frechet_random_B"]
        assert found["frechet_random"] == pytest.approx(both / 2)


class TestPictures:
    def picture(self, task, state, held_out, tmp_path):
        """What is drawn, without the enlargement."""
        directory = RunDirectory(tmp_path / "run")
        directory.path.mkdir(exist_ok=True)
        task.painter(state, Pix2PixSettings(), held_out, directory)(3)
        side = max(held_out.shape[1:])
        with Image.open(directory.path / "generated_epoch_3.png") as image:
            scale = 84 // side
            return np.asarray(image)[::scale, ::scale]

    @pytest.mark.parametrize("count", [1, STRIPS - 1, STRIPS, 20])
    def test_a_row_of_source_output_target_for_each_of_some_images(self, tmp_path, count):
        held_out = images_of(count, channels=4, source_channels=3, size=(12, 16))
        state = state_of(Plus(channels=1), source_channels=3)
        picture = self.picture(MATCHED, state, held_out, tmp_path)
        rows = min(count, STRIPS)
        assert picture.shape == (rows * (12 + GAP) + GAP, 3 * (16 + GAP) + GAP, 3)
        chosen = np.linspace(0, count - 1, rows).round().astype(int)
        for row, number in enumerate(chosen):
            image = held_out.images[number].permute(1, 2, 0).numpy()
            panels = image[..., :3], image[..., :1], image[..., 3:]
            for column, panel in enumerate(panels):
                top, left = GAP + row * (12 + GAP), GAP + column * (16 + GAP)
                shown = picture[top : top + 12, left : left + 16]
                assert np.array_equal(shown, np.broadcast_to(panel, shown.shape))

    def test_a_row_of_six_there_and_back_both_ways(self, tmp_path):
        held_out = images_of(3, low=100, high=150)
        state = state_of(GeneratorPair(AB=Plus(0.4), BA=Plus(-0.2)), cycle=True)
        picture = self.picture(UNMATCHED, state, held_out, tmp_path)
        assert picture.shape == (3 * (16 + GAP) + GAP, 6 * (16 + GAP) + GAP, 3)
        for row, image in enumerate(held_out.images.float()):
            A, B = (side.numpy() for side in image)
            # 0.2 of the range from -1 to 1 are 25.5 levels.
            for column, panel in enumerate((A, A + 51, A + 25.5, B, B - 25.5, B + 25.5)):
                top, left = GAP + row * (16 + GAP), GAP + column * (16 + GAP)
                shown = picture[top : top + 16, left : left + 16, 0]
                assert np.abs(shown - panel).max() <= 0.51

    def test_gradients_are_off_and_the_same_picture_comes_again(self, tmp_path):
        class Noisy(Plus):
            def forward(self, images):
                assert not torch.is_grad_enabled()
                return images + torch.rand_like(images)

        state, held_out = state_of(Noisy()), images_of(3)
        first = self.picture(MATCHED, state, held_out, tmp_path)
        torch.rand(5)
        assert np.array_equal(self.picture(MATCHED, state, held_out, tmp_path), first)


class TestWhatIsLoaded:
    @staticmethod
    def config(root, kind=Pix2PixSettings, **settings):
        return kind(**({"data": root, "size": 8} | settings))

    def test_the_settings_arrive(self, pairs):
        config = self.config(pairs, size="8x12", channels=1, direction="BtoA")
        images = MATCHED.load_split(config, "train")
        assert (len(images), images.shape, images.source_channels) == (12, (2, 8, 12), 1)
        assert images.matched
        assert not UNMATCHED.load_split(config, "train").matched
        there = MATCHED.load_split(self.config(pairs, size="8x12", channels=1), "train")
        assert torch.equal(images.images, there.images.flip(1))

    def test_without_a_size_images_stay_as_they_are(self, pairs):
        assert MATCHED.load_split(self.config(pairs, size=None), "train").shape == (6, 16, 16)

    def test_the_validation_images_are_shown_where_there_are_some(self, pairs):
        notices = []
        config = self.config(pairs)
        images = MATCHED.load_split(config, "train")
        held_out = MATCHED.held_out(config, images, notices.append)
        assert len(held_out) == 10
        assert not (held_out.images[0] == images.images[0]).all()
        assert notices == []

    @pytest.mark.parametrize("task", [MATCHED, UNMATCHED], ids=["pairs", "domains"])
    def test_without_them_those_that_are_trained_on_are_shown_and_it_is_said(
        self, tmp_path, write_images, task
    ):
        for domain in "AB":
            write_images(tmp_path / "few" / domain, 3)
        notices, config = [], self.config(tmp_path / "few")
        images = task.load_split(config, "train")
        assert task.held_out(config, images, notices.append) is images
        (notice,) = notices
        assert notice.startswith(f"'{tmp_path / 'few'}' has no val/ or test/ folder: ")
        assert notice.endswith("are of images that are trained on, and flatter.")

    def test_a_few_are_enough_for_pairs_and_not_for_domains(self, tmp_path, write_images):
        for domain in "AB":
            write_images(tmp_path / "few" / "train" / domain, 12)
            write_images(tmp_path / "few" / "val" / domain, LEAST_IMAGES - 1)
        notices, config = [], self.config(tmp_path / "few", CycleGANSettings)
        assert (
            len(MATCHED.held_out(config, MATCHED.load_split(config, "train"), notices.append)) == 9
        )
        assert notices == []
        images = UNMATCHED.load_split(config, "train")
        assert UNMATCHED.held_out(config, images, notices.append) is images
        assert "holds back 9 images, too few to compare G's with" in notices[0]

    def test_held_out_images_that_happen_to_be_gray_are_brought_to_the_nets_channels(
        self, tmp_path, write_images
    ):
        for split, gray in (("train", (False, True)), ("val", (True, False))):
            for domain, is_gray in zip("AB", gray, strict=True):
                write_images(tmp_path / "mixed" / split / domain, 2, gray=is_gray)
        config = self.config(tmp_path / "mixed")
        images = MATCHED.load_split(config, "train")
        held_out = MATCHED.held_out(config, images, print)
        assert images.shape == held_out.shape == (4, 8, 8)
        assert images.source_channels == held_out.source_channels == 3
        assert torch.equal(held_out.images[:, 0], held_out.images[:, 2])

    def test_those_that_fit_stay_as_they_are(self):
        images = images_of(3, channels=4, source_channels=3)
        assert torch.equal(in_channels_of(images, source=3, target=1).images, images.images)

    def test_no_data_is_one_clear_mistake(self):
        with pytest.raises(UserError, match="No images to translate between were given"):
            MATCHED.load_split(Pix2PixSettings(), "train")


def test_images_are_chosen_from_all_over_a_set():
    images = images_of(1000, size=(1, 1))
    chosen = evenly(images, EXAMINED)
    assert len(chosen) == EXAMINED
    assert torch.equal(chosen[0], images.images[0])
    assert torch.equal(chosen[-1], images.images[-1])
    assert torch.equal(evenly(images, 2000), images.images)
