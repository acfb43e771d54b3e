"""The package as a program uses it: train, load, sample."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum.errors import UserError
from zerosum.inference import model, sampler
from zerosum.inference.tiles import Translator
from zerosum.training.checkpoint import TENSORS


@pytest.fixture
def drawn(monkeypatch):
    """Every z that G is given."""
    seen = []
    generate = sampler.generate

    def noted(net, inputs):
        seen.append(inputs[0])
        return generate(net, inputs)

    for module in (sampler, model):
        monkeypatch.setattr(module, "generate", noted)
    return seen


class TestTrain:
    def test_gives_the_run_that_load_finds_again(self, run):
        loaded = zerosum.load(run.path)
        assert isinstance(run, zerosum.Run)
        assert (loaded.path, loaded.recipe, loaded.config) == (run.path, "vanilla", run.config)
        assert loaded.image_shape == (1, 8, 8)
        assert np.array_equal(loaded.sample(), run.sample())
        assert [record["epoch"] for record in run.log()] == [1, 2, 3]
        assert repr(run) == f"Run('{run.path}', recipe='vanilla')"

    @pytest.mark.slow
    def test_tells_the_watcher_everything(self, train_tiny, tmp_path, recorder):
        run = train_tiny(tmp_path / "run", callbacks=[recorder])
        assert recorder.began == [{"seen": 0, "budget": 120, "images_per_epoch": 40}]
        assert recorder.ticks == run.log()
        assert recorder.ended == 1
        header, summary = recorder.notices
        assert header.startswith(
            f"vanilla on {run.config.data}: 40 images of 8×8 gray, 2 classes\n"
        )
        assert "fp32; 120 images (3 epochs) in batches of 16\n" in header
        assert summary.startswith("Done: 120 images in ")
        assert f"zerosum sample {run.path} -n 64 --out samples.png" in summary
        best = min(record["metrics"]["frechet_random"] for record in run.log())
        assert f"best      frechet_random {best:.4g} at epoch " in summary
        verdict = run.log()[-1]["health"]["verdict"]
        assert f"health    {verdict}" in summary
        assert run.directory.curve_path.is_file()

    @pytest.mark.slow
    def test_evaluations_change_nothing_that_is_learnt(self, train_tiny, tmp_path):
        with_and_without = [
            train_tiny(tmp_path / name, evaluate_every=every).sample(40, ema=False)
            for name, every in (("a", 1), ("b", 0))
        ]
        assert np.array_equal(*with_and_without)

    @pytest.mark.slow
    def test_stops_when_nothing_is_gained_and_goes_on_when_asked_to(
        self, train_tiny, tmp_path, recorder
    ):
        def train(**changes):
            settings = {"epochs": 30, "learning_rate": 1e-9, "ema_half_life": 0} | changes
            return train_tiny(tmp_path / "run", callbacks=[recorder], **settings)

        run = train(patience=2)  # nothing is learnt at such a rate, so nothing gained
        stopped = len(run.log())
        assert stopped < 30
        recorder.notices.clear()
        assert len(train(patience=2).log()) == stopped
        (notice,) = recorder.notices
        assert "is complete: 2 epochs brought no better metric" in notice
        assert len(train().log()) == 30

    def test_a_set_too_small_to_compare_with_is_trained_on_without_evaluations(
        self, train_tiny, tmp_path, recorder
    ):
        np.savez(tmp_path / "few.npz", images=np.zeros((9, 8, 8), np.uint8))
        run = train_tiny(tmp_path / "run", data=tmp_path / "few.npz", callbacks=[recorder])
        assert "metrics" not in run.log()[-1]
        assert any("too few" in notice for notice in recorder.notices)

    def test_names_the_directory_by_recipe_and_data(self, train_tiny, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert str(train_tiny(None, epochs=1).path) == "runs/vanilla-tiny"

    def test_the_seed_decides_everything(self, train_tiny, tmp_path):
        a, b, c = (
            train_tiny(tmp_path / name, seed=seed, epochs=1)
            for name, seed in (("a", 0), ("b", 0), ("c", 1))
        )
        states = [(r.path / "checkpoints" / "40" / TENSORS).read_bytes() for r in (a, b, c)]
        assert states[0] == states[1] != states[2]

    def test_outside_the_main_thread_it_comes_to_the_same(self, train_tiny, tmp_path):
        """Where Ray, for one, calls it: no signal stops it there, and nothing else is lost."""
        whole, found = train_tiny(tmp_path / "whole"), []
        thread = threading.Thread(target=lambda: found.append(train_tiny(tmp_path / "run")))
        thread.start()
        thread.join()
        (run,) = found
        newest = whole.directory.checkpoints.seen()[-1]
        one, other = (each.directory.checkpoints.load(newest, print) for each in (whole, run))
        assert one.tensors.keys() == other.tensors.keys()
        assert all(tensor.equal(other.tensors[name]) for name, tensor in one.tensors.items())

    def test_leaves_the_callers_random_numbers_threads_and_denormals(self, train_tiny, tmp_path):
        torch.manual_seed(3)
        expected = torch.randn(4)
        torch.manual_seed(3)
        threads = torch.get_num_threads()
        train_tiny(tmp_path / "run", epochs=1)
        assert torch.equal(torch.randn(4), expected)
        assert torch.get_num_threads() == threads
        assert (torch.tensor([1e-30]) * 1e-9).item() > 0

    def test_images_is_the_budget_instead_of_epochs(self, train_tiny, tmp_path):
        run = train_tiny(tmp_path / "run", images=50)
        assert [record["seen"] for record in run.log()] == [40, 56]

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_images_may_be_gray_rgb_or_rgba_and_not_square(self, train_tiny, tmp_path, channels):
        run = train_tiny(tmp_path / "run", epochs=2, channels=channels, size="6x8")
        assert run.sample(3).shape == (3, 6, 8, channels)
        assert run.directory.film_path.is_file()

    @pytest.mark.parametrize(
        ("recipe", "settings", "message"),
        [
            ("vanila", {}, "Did you mean 'vanilla'"),
            ("vanilla", {"epoch": 3}, "Did you mean 'epochs'"),
            ("vanilla", {"data": "mnits"}, "Did you mean 'mnist'"),
            ("vanilla", {"epochs": 0}, "--epochs: received 0, expected greater than or equal to 1"),
            ("vanilla", {"device": "cuda:77"}, "This machine has: "),
        ],
    )
    def test_mistakes_are_the_users_to_mend(self, tmp_path, recipe, settings, message):
        with pytest.raises(UserError, match=message):
            zerosum.train(recipe, out=tmp_path / "run", **settings)
        assert not (tmp_path / "run").exists()

    def test_bf16_trains_and_saves_float32(self, train_tiny, tmp_path, run):
        other = train_tiny(tmp_path / "bf16", precision="bf16")
        snapshot = next(other.directory.checkpoints.newest())[1]
        assert {tensor.dtype for tensor in snapshot.tensors.values()} == {torch.float32}
        assert other.log()[0]["loss_D"] == pytest.approx(run.log()[0]["loss_D"], rel=0.05)
        assert other.log()[0]["loss_D"] != run.log()[0]["loss_D"]


class TestSample:
    def test_gives_pixels(self, run):
        images = run.sample(5)
        assert images.shape == (5, 8, 8, 1)
        assert images.dtype == np.uint8
        assert images.std() > 0

    def test_the_seed_decides_and_nothing_else(self, run):
        torch.manual_seed(1)
        first = run.sample(4)
        torch.manual_seed(2)
        assert np.array_equal(run.sample(4), first)
        assert not np.array_equal(run.sample(4, seed=1), first)

    def test_more_images_begin_with_the_fewer(self, run):
        many = run.sample(600)  # of several chunks
        for count in (1, 16, 64, 300):
            assert np.array_equal(run.sample(count), many[:count])
        assert len(np.unique(many.reshape(600, -1), axis=0)) == 600

    def test_labels_are_the_classes_that_G_is_told(self, train_tiny, tmp_path, monkeypatch):
        told = []
        generate = sampler.generate

        def noted(net, inputs):
            told.append(inputs[1].argmax(dim=1))
            return generate(net, inputs)

        # Of three classes, so that a chunk ends within a turn.
        pixels = np.random.default_rng(0).integers(0, 256, (48, 8, 8), np.uint8)
        np.savez(tmp_path / "three.npz", images=pixels, labels=np.arange(48) % 3)
        data = str(tmp_path / "three.npz")
        run = train_tiny(tmp_path / "told", data=data, conditioning="concat", epochs=1)
        monkeypatch.setattr(sampler, "generate", noted)
        for label in (None, 1):
            told.clear()
            run.sample(600, label=label)
            labels = run.labels(600, label=label)
            assert labels.dtype == np.int64
            assert labels.tolist() == torch.cat(told)[:600].tolist()
        assert np.array_equal(run.sample(4, label="2"), run.sample(4, label=2))
        assert not np.array_equal(run.sample(4, class_mix={"0": 1, "1": 1}), run.sample(4, label=0))
        with pytest.raises(UserError, match="The label was 3: expected one of 0, 1, 2"):
            run.labels(label=3)

    def test_there_are_no_labels_where_G_is_told_none(self, run):
        assert run.classes == ("0", "1")
        assert run.labels() is None

    def test_is_the_averages_unless_g_itself_is_asked_for(self, run, drawn):
        averaged, itself = run.sample(4), run.sample(4, ema=False)
        assert not np.array_equal(averaged, itself)
        assert torch.equal(*drawn)  # of the same z

    def test_of_z_from_a_normal_distribution(self, run, drawn):
        run.sample(2048)
        z = torch.cat(drawn)
        assert z.shape == (2048, 4)
        assert z.mean().item() == pytest.approx(0, abs=0.06)
        assert z.std().item() == pytest.approx(1, abs=0.05)

    def test_checkpoints_can_be_chosen(self, run):
        kept = run.directory.checkpoints
        assert kept.seen()[-2:] == [80, 120]
        newest = run.sample(4)
        assert np.array_equal(run.sample(4, checkpoint=120), newest)
        assert np.array_equal(run.sample(4, checkpoint="120"), newest)
        assert not np.array_equal(run.sample(4, checkpoint=80), newest)
        best = run.sample(4, checkpoint="best")
        assert np.array_equal(best, run.sample(4, checkpoint=kept.best()))

    @pytest.mark.parametrize("checkpoint", ["worst", "7", 7, "-1", "", "newest "])
    def test_one_that_is_not_kept_is_answered_with_those_that_are(self, run, checkpoint):
        with pytest.raises(UserError, match=rf"no checkpoint '{checkpoint}'. It keeps: .*80, 120;"):
            run.sample(checkpoint=checkpoint)

    def test_instead_of_a_damaged_newest_the_one_before_is_sampled_loudly(self, run, capsys):
        path = run.path / "checkpoints" / "120" / TENSORS
        path.write_bytes(path.read_bytes()[:-1])
        images = run.sample(2)
        assert "WARNING: damaged checkpoint" in capsys.readouterr().err
        assert np.array_equal(images, run.sample(2, checkpoint=80))
        with pytest.raises(UserError, match=r"120' is damaged: .* keeps .*80, 120"):
            run.sample(checkpoint=120)

    def test_when_none_is_whole_nothing_is_sampled(self, run):
        for path in run.path.glob(f"checkpoints/*/{TENSORS}"):
            path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(UserError, match=r"No checkpoint of .* is whole"):
            run.sample()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"config": {"hidden": [5]}}, "do not fit its config"),
            ({"config": {"warp": 9}}, r"config.json' is not as train writes it: .*'warp'"),
            ({"recipe": None}, "is not as train writes it"),
            (
                {"recipe": "mine"},
                r"no recipe 'mine'.* A recipe of your own is known",
            ),
            ({"image_shape": [1, 2, 3, 4]}, "is not as train writes it"),
        ],
    )
    def test_a_config_that_somebody_changed_is_an_error(self, run, changes, message):
        saved = json.loads(run.directory.config_path.read_text())
        saved["config"] |= changes.pop("config", {})
        run.directory.config_path.write_text(json.dumps(saved | changes))
        with pytest.raises(UserError, match=message):
            zerosum.load(run.path).sample(1)

    def test_without_any_the_run_is_to_be_trained_first(self, run):
        for path in run.directory.checkpoints.directory.iterdir():
            path.rename(run.path / f"moved-{path.name}")
        with pytest.raises(UserError, match="has no checkpoint yet"):
            run.sample()

    @pytest.mark.parametrize("count", [0, -1])
    def test_at_least_one(self, run, count):
        with pytest.raises(UserError, match=f"was {count}: expected at least 1"):
            run.sample(count)

    def test_leaves_the_callers_random_numbers(self, run):
        torch.manual_seed(3)
        expected = torch.randn(4)
        torch.manual_seed(3)
        run.sample(2)
        run.interpolate(2, count=2)
        assert torch.equal(torch.randn(4), expected)


class TestInterpolate:
    def test_gives_frames_of_pixels(self, run):
        frames = run.interpolate(7, count=3)
        assert frames.shape == (7, 3, 8, 8, 1)
        assert frames.dtype == np.uint8
        assert np.array_equal(run.interpolate(7, count=3), frames)
        assert not np.array_equal(run.interpolate(7, count=3, seed=1), frames)
        assert not np.array_equal(run.interpolate(7, count=3, ema=False), frames)

    def test_the_walk_ends_where_it_began(self, run, drawn):
        run.interpolate(60, count=3)
        steps = [(b - a).norm() for a, b in zip(drawn, [*drawn[1:], drawn[0]], strict=True)]
        # The step over the seam is as long as the one on the other side.
        torch.testing.assert_close(steps[59], steps[29])
        assert max(steps) < 2 * min(steps)
        torch.testing.assert_close(drawn[30], -drawn[0], rtol=0, atol=1e-5)

    def test_every_z_on_the_way_is_as_long_as_those_g_was_trained_on(self, run, drawn):
        run.interpolate(8, count=2000)
        # |z|² of N(0, I) in 4 dimensions has mean 4 and variance 8: of 2000 the mean is within .3.
        for z in drawn:
            assert z.square().sum(1).mean().item() == pytest.approx(4, abs=0.3)
            assert z.square().sum(1).var().item() == pytest.approx(8, rel=0.3)

    @pytest.mark.parametrize(("steps", "count"), [(0, 1), (1, 0)])
    def test_at_least_one_of_each(self, run, steps, count):
        with pytest.raises(UserError, match="at least 1"):
            run.interpolate(steps, count=count)


class TestLoad:
    def test_no_run_is_answered_with_those_beside_it(self, run):
        with pytest.raises(UserError, match=rf"no run in .*ran'.* Runs beside it: {run.path}\."):
            zerosum.load(run.path.parent / "ran")

    def test_a_recipe_that_nobody_knows(self, run):
        text = run.directory.config_path.read_text()
        run.directory.config_path.write_text(text.replace('"vanilla"', '"vanilin"'))
        with pytest.raises(UserError, match=r"no recipe 'vanilin'. Did you mean 'vanilla'"):
            zerosum.load(run.path)


def test_the_package_offers_what_it_says():
    for name in zerosum.__all__:
        assert getattr(zerosum, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = zerosum.tarin


def test_what_there_is_is_listed_before_it_is_imported():
    program = "import zerosum, sys; print(*dir(zerosum)); assert 'torch' not in sys.modules"
    listed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"train", "load", "evaluate", "compare", "Run", "__version__"} <= set(listed)


class TestSeedsAndCompare:
    def test_seeds_give_runs_that_compare_takes(self, train_tiny, tmp_path):
        runs = train_tiny(tmp_path / "a", epochs=1, seeds=2)
        assert [run.path.name for run in runs] == ["a-seed-0", "a-seed-1"]
        others = train_tiny(tmp_path / "b", epochs=1, seeds=2, learning_rate=1e-3)
        found = zerosum.compare(*runs, *(str(run.path) for run in others))
        assert [len(group["runs"]) for group in found["groups"]] == [2, 2]
        assert found["metrics"]
        assert json.loads(json.dumps(found)) == found

    def test_metrics_are_computed_where_they_are_named(self, train_tiny, tmp_path, monkeypatch):
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
        runs = train_tiny(tmp_path / "a", epochs=1, seeds=2)
        found = zerosum.compare(*runs, metrics=["precision"], count=20, notice=lambda text: None)
        assert any(metric["name"].startswith("precision") for metric in found["metrics"])


class TestWrongTypes:
    """Each gets one sentence."""

    @pytest.mark.parametrize(
        ("call", "said"),
        [
            (lambda run: run.sample("4"), "count: received '4', expected a whole number"),
            (lambda run: run.sample(4.5), "count: received 4.5, expected a whole number"),
            (lambda run: run.sample(4, seed="x"), "seed: received 'x'"),
            (lambda run: run.sample(4, label="cats"), "The label was cats, but this G knows no"),
            (lambda run: run.interpolate("3"), "steps: received '3'"),
            (lambda run: zerosum.evaluate(np.zeros((40, 8, 8))), "received ndarray of shape (40"),
            (lambda run: zerosum.evaluate(run, count="4"), "count: received '4'"),
            (lambda run: zerosum.evaluate(run, reference=3), "The reference: received 3"),
            (lambda run: zerosum.load(3), "The run: received 3, expected the path"),
            (lambda run: zerosum.compare(run, 3), "The runs: received 3"),
            (
                lambda run: zerosum.train(np.zeros(99)),
                "The recipe: received ndarray of shape (99,)",
            ),
            (lambda run: zerosum.train(data=np.zeros(99)), "The data are float64 of shape (99,)"),
            (lambda run: zerosum.train(seeds="3"), "seeds: received '3'"),
        ],
    )
    def test_of_an_argument(self, run, call, said):
        with pytest.raises(UserError) as caught:
            call(run)
        assert said in str(caught.value)
        assert len(str(caught.value)) < 250

    def test_of_an_image_to_translate(self):
        net = torch.nn.Identity()
        device = torch.device("cpu")
        translator = Translator(
            net=net, source_channels=3, target_channels=3, device=device, seed=0
        )
        with pytest.raises(UserError, match=r"Image.*numpy\.asarray\(image\)\[None\]"):
            translator.translate_all(Image.new("RGB", (300, 200)))

    def test_a_run_is_evaluated_as_its_path_is(self, run, monkeypatch):
        asked = []
        monkeypatch.setattr(
            "zerosum.api.evaluate_source", lambda config, notice: asked.append(config) or {}
        )
        zerosum.evaluate(run)
        assert asked[0].source == str(run.path)


class TestTwoTrainings:
    def test_a_second_one_in_the_same_process_is_refused(self, train_tiny, tmp_path, new_recorder):
        messages = []

        class Meddler(new_recorder):
            def tick(self, record):
                with pytest.raises(UserError, match="Another training is under way") as caught:
                    train_tiny(tmp_path / "second")
                messages.append(str(caught.value))

        train_tiny(tmp_path / "first", quiet=True, callbacks=[Meddler()])
        assert len(messages) == 3
        train_tiny(tmp_path / "second")

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_gradients_that_the_caller_switched_off_are_there(self, train_tiny, tmp_path, mode):
        expected = train_tiny(tmp_path / "first").sample(2)
        with mode():
            run = train_tiny(tmp_path / "second")
        assert np.array_equal(run.sample(2), expected)


def test_python_objects_may_be_given_where_a_name_is_meant(train_tiny, tiny_images, tmp_path):
    run = train_tiny(
        tmp_path / "run", data=tiny_images, size=(6, 7), device=torch.device("cpu"), epochs=1
    )
    assert run.sample(2).shape == (2, 6, 7, 1)
    assert (run.config.size, run.config.device) == ("6x7", "cpu")


class TestEvaluate:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))

    def test_gives_figures_with_their_cards(self, run):
        asked = {"features": "digits", "metrics": ["fid", "kid"], "count": 20, "size": (8, 8)}
        notices = []
        found = zerosum.evaluate(run.path, **asked, notice=notices.append)
        assert found.keys() == {"frechet_digits", "kid"}
        card = found["kid"].card
        assert card["evaluated"]["n"] == card["reference"]["n"] == 20
        assert any("Do not rely on kid" in text for text in notices)
        again = zerosum.evaluate(str(run.path), **asked | {"metrics": "kid", "size": 8})
        assert again["kid"].value == found["kid"].value

    def test_a_reference_may_be_a_path(self, tiny_images):
        quiet = {"features": "digits", "metrics": "kid", "notice": lambda text: None}
        found = zerosum.evaluate(tiny_images, reference=tiny_images, count=20, **quiet)
        assert found["kid"].card["floor"] is not None

    def test_notices_go_to_standard_error(self, run, capsys):
        zerosum.evaluate(run.path, features="digits", metrics="fid")
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Comparing 40 images on either side" in printed.err

    def test_the_device_and_whose_weights_may_be_said(self, run):
        asked = {"features": "digits", "metrics": "frechet_digits", "notice": lambda text: None}

        def value(**how):
            return zerosum.evaluate(run.path, **asked, **how)["frechet_digits"].value

        assert value(device=torch.device("cpu")) == value(device="cpu") == value()
        assert value(ema=False) != value()
        with pytest.warns(FutureWarning, match="ema=False for raw=True"):
            assert value(raw=True) == value(ema=False)

    def test_an_unknown_flag_gets_the_closest(self, run):
        with pytest.raises(UserError, match=r"no setting 'metric'\. Did you mean 'metrics'"):
            zerosum.evaluate(run.path, metric="fid")
