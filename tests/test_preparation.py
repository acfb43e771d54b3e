"""Before a training: precision, memory and pace that are settled, and what is said of them."""

import re

import pytest
import torch

import zerosum
from zerosum import preparation
from zerosum.callbacks import Callback
from zerosum.data import load
from zerosum.errors import UserError
from zerosum.hardware import flushes_denormals
from zerosum.preparation import rounded_down
from zerosum.recipes import RECIPES
from zerosum.training import precision
from zerosum.training.checkpoint import TENSORS


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def measured(monkeypatch):
    """Sets what a measurement will find, and tells how many there were."""
    calls = []

    def find(pace):
        def measure(products, device):
            calls.append(products)
            return pace

        monkeypatch.setattr(precision, "measure", measure)
        return calls

    return find


@pytest.fixture
def train(train_tiny, tmp_path, new_recorder):
    """Trains in one folder; returns the precision that config.json has, and the notices of it."""

    def train(**settings):
        recorder = new_recorder()
        run = train_tiny(tmp_path / "run", callbacks=[recorder], **{"epochs": 1, **settings})
        told = [notice for notice in recorder.notices if "times the pace" in notice]
        return run.directory.read_config()["config"]["precision"], told

    return train


def weights(run):
    """All tensors of a run's end, to the last bit."""
    checkpoints = run.directory.checkpoints
    return (checkpoints.path(checkpoints.seen()[-1]) / TENSORS).read_bytes()


class TestAuto:
    @pytest.mark.parametrize(
        ("pace", "chosen"), [(2.0, "bf16"), (1.1, "bf16"), (1.09, "fp32"), (0.1, "fp32")]
    )
    def test_takes_bf16_where_it_is_worth_its_while_and_says_so(
        self, train, measured, pace, chosen
    ):
        measured(pace)
        kept, told = train(precision="auto")
        assert kept == chosen
        assert told == [
            f"Precision {chosen}: bf16 runs at {pace:.2f} times the pace of fp32 in this recipe's "
            "largest products here."
        ]

    def test_the_choice_is_what_is_trained_in(self, train_tiny, measured, tmp_path):
        measured(2.0)
        auto, bf16, fp32 = (
            weights(train_tiny(tmp_path / name, epochs=1, precision=name))
            for name in ("auto", "bf16", "fp32")
        )
        assert auto == bf16 != fp32

    @pytest.mark.parametrize(("pace", "chosen"), [(2.0, "bf16"), (0.5, "fp32")])
    def test_a_resumed_run_keeps_it_on_any_machine(self, train, measured, pace, chosen):
        measured(pace)
        train(precision="auto")
        calls = measured(1 / pace)
        calls.clear()
        assert train(precision="auto", epochs=2) == (chosen, [])
        assert calls == []

    def test_so_does_one_that_began_with_an_explicit_precision(self, train, measured):
        measured(2.0)
        train(precision="fp32")
        assert train(precision="auto", epochs=2)[0] == "fp32"

    def test_to_name_the_choice_is_no_conflict_and_to_name_another_is(self, train, measured):
        measured(2.0)
        train(precision="auto")
        assert train(precision="bf16", epochs=2) == ("bf16", [])
        with pytest.raises(zerosum.UserError, match="--precision: the run has bf16, received"):
            train(precision="fp32", epochs=3)

    def test_a_fresh_run_chooses_anew(self, train, measured, monkeypatch):
        measured(2.0)
        train(precision="auto")
        monkeypatch.setattr("torch.__version__", "99.0")  # or it is remembered
        measured(0.5)
        assert train(precision="auto", fresh=True)[0] == "fp32"

    def test_nets_in_which_there_is_nothing_to_measure_stay_in_fp32(
        self, train_tiny, tmp_path, monkeypatch, recorder
    ):
        monkeypatch.setattr("zerosum.preparation.heaviest_products", lambda *_: {})
        run = train_tiny(tmp_path / "run", epochs=1, precision="auto", callbacks=[recorder])
        assert run.directory.read_config()["config"]["precision"] == "fp32"
        assert "Precision fp32: this recipe's nets have no products that could be measured." in (
            recorder.notices
        )


class TestExplicit:
    def test_bf16_that_is_slower_is_warned_of_and_trains(self, train, measured):
        measured(0.52)
        kept, told = train(precision="bf16")
        assert kept == "bf16"
        assert told == [
            "WARNING: bf16 runs at 0.52 times the pace of fp32 in this recipe's largest products "
            "here. --precision fp32 is faster; auto measures and chooses."
        ]

    @pytest.mark.parametrize("pace", [0.95, 1.0, 3.0])
    def test_bf16_that_is_not_is_not(self, train, measured, pace):
        measured(pace)
        assert train(precision="bf16") == ("bf16", [])

    def test_fp32_is_never_measured(self, train, measured):
        calls = measured(3.0)
        assert train() == train(precision="fp32", fresh=True) == ("fp32", [])
        assert calls == []


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("vanilla", {"hidden": (12, 20), "latent_size": 4}),
        ("dcgan", {"width": 4}),  # with BatchNorm
        ("sngan", {"width": 4}),  # with vectors of spectral norm
    ],
)
def test_measuring_disturbs_nothing(tiny_images, tmp_path, monkeypatch, recipe, settings):
    really, paces = precision.measure, []

    def measure(products, device):
        paces.append(really(products, device))
        return 0.5  # whatever this machine is like

    monkeypatch.setattr(precision, "measure", measure)
    inside = []

    class Look(Callback):
        def begin(self, **_):
            cudnn = torch.backends.cudnn
            inside.append(
                (
                    torch.get_num_threads(),
                    flushes_denormals(),
                    (cudnn.enabled, cudnn.benchmark, cudnn.deterministic),
                    torch.is_autocast_enabled("cpu"),
                    torch.is_grad_enabled(),
                    torch.get_rng_state().tolist(),
                )
            )

    states = []
    for name in ("fp32", "auto"):
        run = zerosum.train(
            recipe,
            out=tmp_path / name,
            data=str(tiny_images),
            device="cpu",
            epochs=2,
            batch_size=16,
            evaluate_every=0,
            precision=name,
            quiet=True,
            callbacks=[Look()],
            **settings,
        )
        states.append(weights(run))
    assert len(paces) == 1
    assert inside[0] == inside[1]
    assert states[0] == states[1]


class TestPatience:
    @pytest.fixture
    def slow(self, monkeypatch):
        monkeypatch.setattr(preparation, "images_per_second", lambda *_, **__: 0.5)

    def test_more_than_a_day_is_told_with_flags_that_fit(
        self, slow, train_tiny, tmp_path, new_recorder
    ):
        class Stop(Exception):
            pass

        class Watch(new_recorder):
            def begin(self, **_):
                raise Stop

        watch = Watch()
        with pytest.raises(Stop):
            train_tiny(tmp_path / "run", epochs=None, images=100_000, callbacks=[watch])
        (told,) = [notice for notice in watch.notices if "would take" in notice]
        assert "100,000 images would take about 2.3 days on this CPU" in told
        assert "0.5 images/s" in told
        assert "--images 43000" in told
        assert "--size" not in told  # an MLP takes as long for images of any size, nearly

    def test_narrower_nets_and_smaller_images_are_named_where_they_fit(
        self, slow, tmp_path, write_images, capsys
    ):
        write_images(tmp_path / "photos", 8, size=(32, 32))
        config = RECIPES["dcgan"].configure(
            {"data": str(tmp_path / "photos"), "width": 64, "images": 100_000, "device": "cpu"}
        )
        told = []
        images = load(config.data)
        device = torch.device("cpu")
        preparation.require_patience("dcgan", config, images, device, Callback(), told.append)
        assert "--width 32 (about" in told[0]
        assert "--size 16 (about" in told[0]

    def test_where_no_flag_fits_alone_it_is_named_beside_fewer_images(
        self, slow, tmp_path, write_images
    ):
        write_images(tmp_path / "photos", 8, size=(32, 32))
        config = RECIPES["dcgan"].configure(
            {"data": str(tmp_path / "photos"), "width": 64, "images": 10**9, "device": "cpu"}
        )
        told = []
        device = torch.device("cpu")
        images = load(config.data)
        preparation.require_patience("dcgan", config, images, device, Callback(), told.append)
        assert re.search(r"--width (16|32) --images \d+000, or .*--images 43000\.", told[0]), told

    def test_who_does_not_want_it_leaves_nothing_behind(
        self, slow, train_tiny, tiny_images, tmp_path
    ):
        def refuse(text):
            raise UserError("no")

        config = RECIPES["vanilla"].configure({"data": tiny_images, "images": 100_000})
        with pytest.raises(UserError, match="no"):
            zerosum.api.train_config("vanilla", config, out=tmp_path / "run", confirm=refuse)
        assert not (tmp_path / "run").exists()

    def test_few_images_are_not_timed(self, monkeypatch, train_tiny, tmp_path):
        monkeypatch.setattr(preparation, "images_per_second", None)
        train_tiny(tmp_path / "run", epochs=1)

    def test_a_slow_round_says_when_the_bar_moves(self, slow, tiny_images):
        config = RECIPES["vanilla"].configure({"data": tiny_images, "images": 2_000})
        told, watch = [], Callback()
        watch.notice = told.append
        preparation.require_patience(
            "vanilla", config, load(config.data), torch.device("cpu"), watch, pytest.fail
        )
        assert told == ["About 0.5 images/s: 67 min in all, and 4 min until the bar moves."]

    def test_timing_changes_no_bit(self, train_tiny, tmp_path, monkeypatch):
        one = weights(train_tiny(tmp_path / "one", epochs=1))
        monkeypatch.setattr(preparation, "FEW_IMAGES", 0)
        assert weights(train_tiny(tmp_path / "two", epochs=1)) == one

    def test_two_digits_count(self):
        assert [rounded_down(count) for count in (43_210.9, 99, 7.5)] == [43_000, 99, 7]


@pytest.mark.parametrize(
    ("tier", "device", "free", "fits"),
    [
        ("auto", "cpu", None, True),
        ("auto", "cuda", 2 * 40 * 64, True),
        ("auto", "cuda", 2 * 40 * 64 - 1, False),
        ("device", "cuda", 0, True),
        ("memory", "cuda", 10**9, False),
        ("disk", "cuda", 10**9, False),
    ],
)
def test_images_lie_on_the_device_where_they_fit(
    tiny_images, monkeypatch, tier, device, free, fits
):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**12))
    config = RECIPES["vanilla"].configure({"data": tiny_images, "data_tier": tier})
    images = load(config.data)
    assert preparation.fits_device(config, images, torch.device(device)) is fits
