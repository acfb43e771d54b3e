"""The data of a run that translates images, as the reference of its outputs."""

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum.errors import UserError
from zerosum.evaluation.evaluate import EvalConfig, agreed_protocol, choose_metrics
from zerosum.evaluation.translation import Targets, distinct
from zerosum.metrics.registry import METRICS
from zerosum.metrics.weight_files import LPIPS


def save_images(folder, count, *, gray=False):
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(len(str(folder.name)) + count)
    for index in range(count):
        pixels = numbers.integers(0, 256, (16, 16) if gray else (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


@pytest.fixture
def make(tmp_path, new_recorder):
    """Train on 4 pairs of coloured images; 3 others, held out, are all gray."""

    def train(recipe="pix2pix", **settings):
        for domain in "AB":
            save_images(tmp_path / "data" / domain / "train", 4)
            save_images(tmp_path / "data" / domain / "val", 3, gray=True)
        common = {"size": "16", "width": 2, "d_layers": 1, "images": 2, "evaluate_every": 0}
        data = str(tmp_path / "data")
        settings = {**common, "batch_size": 2, "device": "cpu", **settings}
        out = tmp_path / "run"
        run = zerosum.train(recipe, data=data, out=out, quiet=True, **settings)
        notices = []
        return Targets(run, notices.append), notices

    return train


class TestTargets:
    def test_are_of_the_domain_that_the_run_makes(self, make):
        targets, _ = make(direction="BtoA")
        assert (targets.matched, targets.has_splits, targets.way) == (True, True, ("B", "A"))
        root = targets.run.config.data
        assert targets.name == f"domain A of {root}"
        with Image.open(f"{root}/A/train/2.png") as target:
            assert np.array_equal(targets.load("train").images[2].permute(1, 2, 0), target)
        with Image.open(f"{root}/B/train/2.png") as source:
            assert np.array_equal(targets.sources("train").images[2].permute(1, 2, 0), source)

    def test_have_the_channels_of_those_that_were_trained_on(self, make):
        targets, notices = make()
        for subject in (targets.load("val"), targets.sources("val")):
            assert subject.images.shape == (3, 3, 16, 16)
            assert torch.equal(subject.images[:, 0], subject.images[:, 2])
        assert notices == []

    def test_are_known_by_their_sources_too(self, make):
        targets, _ = make()
        before = targets.load("val").card(), targets.fingerprint("val")
        path = f"{targets.run.config.data}/A/val/0.png"
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(path)
        again = Targets(targets.run, print)
        assert again.load("val").card() == before[0]
        assert again.fingerprint("val") != before[1]

    def test_files_that_cannot_be_used_are_told_of_once(self, make, tmp_path):
        targets, notices = make()
        (tmp_path / "data/B/val/2.png").write_bytes(b"no image")
        assert len(targets.load("val").images) == len(targets.sources("val").images) == 2
        assert len(notices) == 1
        assert notices[0].startswith("Left out 1 files of ")

    def test_of_a_run_without_pairs_are_not_matched(self, make):
        assert not make("cyclegan", blocks=1)[0].matched


def test_images_that_come_several_times_are_taken_once():
    images = torch.tensor([3, 1, 3, 2, 1], dtype=torch.uint8).view(5, 1, 1, 1)
    assert distinct(images).flatten().tolist() == [3, 1, 2]
    assert torch.equal(distinct(images[:, :, :, [0, 0]])[:, :, :, 0], distinct(images)[..., 0])


class TestChosenMetrics:
    @pytest.fixture
    def chosen(self, make, monkeypatch):
        """The names of the metrics of a run, and what was said."""
        monkeypatch.setattr(LPIPS, "locate", lambda file=None: "there")

        def choose(metrics, *, recipe="pix2pix", reference=None, protocol=None, **settings):
            targets, notices = make(recipe, **settings)
            config = EvalConfig(
                source=str(targets.run.path),
                metrics=metrics,
                reference=reference,
                protocol=protocol,
                split="train",
            )
            agreed = agreed_protocol(config, targets.run)
            names, missing = choose_metrics(config, agreed, targets, targets, notices.append)
            assert missing == ()
            return names, notices

        return choose

    def test_those_that_are_named_are_taken(self, chosen):
        names = ("psnr", "fid", "ssim", "lpips_diversity")
        assert chosen(",".join(names)) == (names, [])

    def test_of_few_images_are_of_pairs_alone(self, chosen):
        names, notices = chosen("")
        assert names == ("l1", "psnr", "ssim", "lpips")
        assert notices == ["4 images are too few for metrics of sets: these are of pairs alone."]

    def test_are_of_sets_alone_where_there_are_no_pairs(self, chosen):
        names, notices = chosen("", reference="photos")
        assert names == tuple(name for name, metric in METRICS.items() if metric.needs != "pairs")
        assert notices == []

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"recipe": "cyclegan", "blocks": 1}, "trained without pairs"),
            ({"reference": "photos"}, "which one of 'photos' that is"),
            ({"protocol": "studiogan"}, "the protocol 'studiogan' has no such metrics"),
        ],
    )
    def test_of_pairs_are_refused_with_the_reason(self, chosen, changes, message):
        with pytest.raises(UserError, match=f"The metric 'ssim' holds each output .*{message}"):
            chosen("fid,ssim", **changes)
