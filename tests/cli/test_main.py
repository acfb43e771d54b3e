"""The commands as a user runs them: what they print, write and exit with."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zerosum.cli import main as main_module
from zerosum.cli.main import home_in, run
from zerosum.recipes import RECIPES

EPOCH_LINE = re.compile(r"^Epoch \[\d+/\d+\] Loss D: \d+\.\d{4}, Loss G: \d+\.\d{4}$")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory that is the working one, with a small data set in `tiny.npz`."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (48, 8, 8), dtype=np.uint8)
    np.savez("tiny.npz", images=images, labels=np.arange(48) % 3)
    return tmp_path


TRAIN = ["train", "--data", "tiny.npz", "--batch-size", "16", "--hidden", "12", "20"]


@pytest.fixture
def trained(here, capsys):
    """A finished run of three epochs in `runs/vanilla-tiny`."""
    assert run([*TRAIN, "--epochs", "3", "--sample-every", "1"]) == 0
    capsys.readouterr()
    return here / "runs" / "vanilla-tiny"


def zerosum(*tokens, **options):
    """Start the real command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "zerosum", *tokens],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def refused(tokens, capsys, *, code=2):
    """The one message of a command that must fail: no traceback, the right exit code."""
    exit_code = run(tokens)
    assert exit_code == code if code else exit_code in (1, 2)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err.startswith("zerosum: ")
    return captured.err


def picture(path):
    with Image.open(path) as image:
        image.load()
        return image


def frames(path):
    with Image.open(path) as film:
        return film.n_frames


class TestTrain:
    def test_prints_one_line_an_epoch_and_leaves_a_run(self, here, capsys):
        assert run([*TRAIN, "--epochs", "3", "--sample-every", "2"]) == 0
        printed = capsys.readouterr().out.splitlines()
        understood = [line for line in printed[:6] if line.startswith("  ")]
        assert understood == [
            "  from      tiny.npz",
            "  values    0 to 255",
            "  classes   0 (16), 1 (16), 2 (16)",
            "  kept      in memory (3.07 kB)",
        ]
        lines = [line for line in printed if line not in understood]
        assert lines[0] == "vanilla on tiny.npz: 48 images of 8×8 gray, 3 classes"
        assert "fp32; 144 images (3 epochs) in batches of" in lines[1]
        assert [line.split(" Loss")[0] for line in lines[2:5]] == [
            f"Epoch [{n}/3]" for n in (1, 2, 3)
        ]
        assert all(EPOCH_LINE.match(line) for line in lines[2:5])
        assert "zerosum sample runs/vanilla-tiny" in "\n".join(lines[5:])

        directory = here / "runs" / "vanilla-tiny"
        assert sorted(path.name for path in directory.glob("generated_*.png")) == [
            "generated_epoch_2.png",
            "generated_epoch_3.png",  # the last epoch is drawn, whatever its number
        ]
        assert frames(directory / "film.gif") == 2
        log = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
        assert [record["seen"] for record in log] == [48, 96, 144]
        assert {"loss_D", "loss_G", "D(x)", "D(G(z))"} <= log[0].keys()

    def test_the_same_command_again_says_that_the_run_is_complete(self, trained, capsys):
        before = (trained / "log.jsonl").read_bytes()
        assert run([*TRAIN, "--epochs", "3"]) == 0
        assert "complete" in capsys.readouterr().out
        assert (trained / "log.jsonl").read_bytes() == before

    def test_more_epochs_go_on_with_the_run(self, trained, capsys):
        assert run([*TRAIN, "--epochs", "4"]) == 0
        assert "Epoch [4/4]" in capsys.readouterr().out
        assert len((trained / "log.jsonl").read_text().splitlines()) == 4

    def test_fresh_starts_over(self, trained, capsys):
        assert run([*TRAIN, "--epochs", "1", "--fresh", "--seed", "5"]) == 0
        assert "Epoch [1/1]" in capsys.readouterr().out
        assert len((trained / "log.jsonl").read_text().splitlines()) == 1
        assert [path.name for path in trained.glob("generated_*.png")] == ["generated_epoch_1.png"]

    def test_a_recipe_may_be_named(self, here, capsys):
        assert run(["train", "vanilla", *TRAIN[1:], "--epochs", "1"]) == 0

    def test_several_seeds_are_trained_and_compared(self, here, capsys):
        command = [*TRAIN, "--epochs", "1", "--evaluate-every", "1", "--seed", "3", "--seeds", "2"]
        assert run(command) == 0
        assert sorted(path.name for path in (here / "runs").iterdir()) == [
            "vanilla-tiny-seed-3",
            "vanilla-tiny-seed-4",
        ]
        out = capsys.readouterr().out
        assert "frechet_random" in out
        for seed in (3, 4):
            assert re.search(rf"{seed}: \d+\.\d+", out)
        assert run(command) == 0  # and again: nothing is trained anew
        assert capsys.readouterr().out.count("is complete") == 2

    def test_a_number_of_seeds_that_is_none(self, here, capsys):
        assert "expected at least 1" in refused([*TRAIN, "--seeds", "0"], capsys)

    @pytest.mark.slow
    def test_every_flag_takes_a_value(self, here):
        few = {"data": "tiny.npz", "device": "cpu", "epochs": "1", "evaluate-every": "0"}
        commands = [
            {
                "data": "tiny.npz", "size": "28x30", "channels": "3", "strict": None,
                "images": "64", "batch-size": "16", "seed": "5", "device": "cpu",
                "precision": "bf16", "ema-half-life": "100", "sample-every": "1",
                "checkpoint-every": "1", "evaluate-every": "1", "patience": "9",
                "on-collapse": "restart",
                "restarts": "2", "log": "tensorboard", "data-tier": "memory",
                "batch-norm": "local",
                "nets": "resnet", "latent-size": "3", "width": "2", "full-width-up-to": "7",
                "spectral-norm": "both", "attention": "14", "conditioning": "concat",
                "pack": "2", "loss": "hinge", "penalty": "r1:0.1", "clip": "0.5",
                "n-critic": "2", "learning-rate": "0.001", "d-learning-rate": "0.002",
                "betas": "0.1 0.9", "anneal": "99", "lr-schedule": "linear", "lr-end": "0.5",
                "anneal-penalty": "0.5", "anneal-beta": "0.8", "augment": "cutout",
                "augment-target": "0.5", "hflip": None, "grad-accumulation": "2",
            },
            {**few, "hidden": "12", "loss": "least-squares", "targets": "0.1 0.9 0.8"},
            {**few, "nets": "dcgan", "size": "16", "d-norm": "batch", "optimizer": "rmsprop"},
            {
                **few, "data": "many", "size": "28", "fit": "pad", "range": "-9:99",
                "hold-out": "0.1", "all-frames": None,
            },
            {**few, "from": "run-1", "freeze-d": "1"},
        ]  # fmt: skip
        (here / "many").mkdir()
        for index in range(16):  # of 16 bits, and one of two pages
            deep = [
                Image.fromarray(np.full((28, 28), 9 * index + page, np.uint16)) for page in (0, 1)
            ]
            pages = deep[1:] if index == 0 else []
            deep[0].save(here / "many" / f"{index}.tif", save_all=True, append_images=pages)
        fields = RECIPES["vanilla"].config.model_fields
        left = set(fields)
        for index, values in enumerate(commands):
            flags = [
                part
                for name, value in values.items()
                for part in (f"--{name}", *(value or "").split())
            ]
            assert run(["train", *flags, "--out", f"run-{index}"]) == 0
            config = json.loads((here / f"run-{index}/config.json").read_text())["config"]
            left -= {name for name in fields if config[name] != fields[name].default}
        assert left == set()
        assert run(["sample", "run-0", "-n", "2", "--out", "some.NPZ"]) == 0

    def test_flags_overrule_the_toml_file(self, here, capsys):
        (here / "my.toml").write_text('data = "tiny.npz"\nepochs = 9\nbatch-size = 16\n')
        assert run(["train", "--config", "my.toml", "--epochs", "2"]) == 0
        config = json.loads((here / "runs/vanilla-tiny/config.json").read_text())["config"]
        assert (config["epochs"], config["batch_size"]) == (2, 16)

    @pytest.mark.slow
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_saves_and_says_how_to_go_on(self, here, number, code):
        command = [*TRAIN, "--epochs", "100000", "--out", "run"]
        process = zerosum(*command)
        while not EPOCH_LINE.match(process.stdout.readline().strip()):
            assert process.poll() is None
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == code
        assert "Run the same command again" in errors
        assert "Traceback" not in errors

        process = zerosum(*command)
        assert "Going on with 'run'" in process.stdout.readline()
        process.kill()
        process.communicate()


class TestSample:
    def test_a_grid(self, trained, capsys):
        assert run(["sample", "runs/vanilla-tiny", "-n", "9", "--out", "grid.png"]) == 0
        assert capsys.readouterr().out == "Wrote grid.png.\n"
        assert picture("grid.png").size == (10 * (3 * 10 + 2),) * 2

    def test_an_array(self, trained):
        assert run(["sample", "runs/vanilla-tiny", "-n", "5", "--out", "some.npz"]) == 0
        arrays = np.load("some.npz")
        assert list(arrays) == ["images", "z"]
        assert arrays["images"].shape == (5, 8, 8, 1)
        assert arrays["images"].dtype == np.uint8

    def test_an_array_of_a_conditional_run_has_labels(self, here):
        assert run([*TRAIN, "--epochs", "1", "--conditioning", "concat", "--out", "told"]) == 0
        for flags, labels in (([], [0, 1, 2, 0, 1]), (["--label", "1"], [1] * 5)):
            assert run(["sample", "told", "-n", "5", "--out", "some.npz", *flags]) == 0
            arrays = np.load("some.npz")
            assert arrays["labels"].dtype == np.int64
            assert arrays["labels"].tolist() == labels
            assert arrays["classes"].tolist() == ["0", "1", "2"]
            assert len(arrays["images"]) == 5
        again = ["--z", "some.npz", "--out", "again.npz"]
        assert run(["sample", "told", *again]) == 0
        assert np.array_equal(np.load("again.npz")["images"], arrays["images"])
        mixed = ["-n", "2", "--class-mix", "0:0.5,2:0.5", "--truncation", "0", "--out", "mix.npz"]
        assert run(["sample", "told", *mixed]) == 0
        assert list(np.load("mix.npz")) == ["images", "z", "class_weights", "classes"]
        assert np.load("mix.npz")["class_weights"].tolist() == [[0.5, 0, 0.5]] * 2
        assert not np.load("mix.npz")["z"].any()

    def test_a_folder(self, trained):
        assert run(["sample", "runs/vanilla-tiny", "-n", "3", "--out", "new/folder"]) == 0
        names = sorted(path.name for path in (trained.parent.parent / "new/folder").glob("*.png"))
        assert names == ["000000_seed0.png", "000001_seed0.png", "000002_seed0.png"]
        assert picture("new/folder/000000_seed0.png").size == (8, 8)

    def test_one_image_of_a_run_by_its_name_alone(self, trained):
        assert run(["sample", "vanilla-tiny", "-n", "1", "--out", "one.png"]) == 0
        assert picture("one.png").size == (8, 8)
        assert run(["sample", "vanilla-tiny", "-n", "1", "--grid", "--out", "one.png"]) == 0
        assert picture("one.png").size == (12 * 10, 12 * 10)

    def test_a_walk(self, trained):
        assert run(["sample", "runs/vanilla-tiny", "-n", "4", "--out", "walk.gif"]) == 0
        assert frames("walk.gif") > 10

    def test_the_seed_decides_and_g_itself_differs(self, trained, capsys):
        made = {"a": [], "b": ["--device", "cpu"], "c": ["--seed", "1"], "d": ["--no-ema"]}
        for name, flags in made.items():
            assert run(["sample", "runs/vanilla-tiny", "--out", f"{name}.png", *flags]) == 0
        assert capsys.readouterr().err == ""
        assert run(["sample", "runs/vanilla-tiny", "--out", "e.png", "--raw"]) == 0
        assert "NOTE: --raw is now called --no-ema" in capsys.readouterr().err
        a, b, c, d, e = ((trained.parent.parent / f"{name}.png").read_bytes() for name in "abcde")
        assert a == b
        assert len({a, c, d}) == 3
        assert d == e

    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            (["runs/vanilla-tin"], "Runs beside it: runs/vanilla-tiny"),
            (["runs/vanilla-tiny", "--out", "x.jpg"], "ends in .png, .npz, .gif, .webp or .mp4"),
            (["vanilla-tin"], "Did you mean 'vanilla-tiny'? Runs in runs/: runs/vanilla-tiny"),
            (["runs/vanilla-tiny", "--label", "cat"], "this G knows no classes"),
            (["runs/vanilla-tiny", "--z", "tiny.npz"], "holds images, labels, and no z"),
            (["runs/vanilla-tiny", "--class-mix", "cat"], "expected each class once"),
            (["runs/vanilla-tiny", "--truncation", "2"], "from 0 to 1"),
            (["runs/vanilla-tiny", "-n", "0"], "at least 1"),
            (["runs/vanilla-tiny", "--checkpoint", "7"], "It keeps: "),
            (["runs/vanilla-tiny", "--device", "cuda:77"], "This machine has: "),
            (["runs/vanilla-tiny", "--out", "runs"], "not empty"),
            (["runs/vanilla-tiny", "--out", "tiny.npz/x.png"], "Choose another place"),
            ([], "RUN is missing"),
        ],
    )
    def test_mistakes(self, trained, capsys, tokens, expected):
        assert expected in refused(["sample", *tokens], capsys)


class TestTables:
    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("recipes", "vanilla"),
            ("data", "mnist"),
            ("data", "stacked-mnist"),
            ("doctor", "processors"),
        ],
    )
    def test_they_list_what_there_is(self, capsys, command, expected):
        assert run([command]) == 0
        assert expected in capsys.readouterr().out


class TestHelp:
    @pytest.mark.parametrize(
        "tokens", [["--help"], ["train", "--help"], ["sample", "--help"], ["--version"]]
    )
    def test_it_does_not_import_torch(self, tokens):
        code = (
            "import sys; from zerosum.cli.main import run; code = run(sys.argv[1:]); "
            "assert 'torch' not in sys.modules; assert 'numpy' not in sys.modules; sys.exit(code)"
        )
        done = subprocess.run([sys.executable, "-c", code, *tokens], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()

    def test_train_has_a_flag_for_every_setting(self, capsys):
        assert run(["train", "vanilla", "--help"]) == 0
        text = capsys.readouterr().out
        for field in RECIPES["vanilla"].config.model_fields:
            assert f"--{field.replace('_', '-')}" in text


class TestFlagsFitWhatTheyMeet:
    """Flags are held against the config file and the data's defaults, not against the recipe's."""

    @pytest.mark.parametrize(
        ("file", "flags", "expected"),
        [
            ("", ["--data", "ring", "--penalty", "r1:0.01"], {"nets": "mlp", "data": "ring"}),
            ("hidden = [8]", ["--nets", "mlp"], {"nets": "mlp", "hidden": (8,)}),
            ('d-norm = "none"', ["--penalty", "r1:0.1"], {"d_norm": "none", "penalty": "r1:0.1"}),
            ("batch-size = 96", ["--pack", "3"], {"batch_size": 96, "pack": 3}),
            ("batch-size = 96", ["--batch-size", "32"], {"batch_size": 32}),
        ],
    )
    def test_it_is_accepted(self, tmp_path, monkeypatch, file, flags, expected):
        seen = []
        monkeypatch.setattr(
            "zerosum.api.train_config", lambda recipe, config, **_: seen.append(config)
        )
        (tmp_path / "my.toml").write_text(file)
        assert run(["train", "dcgan", "--config", str(tmp_path / "my.toml"), *flags]) == 0
        assert {name: getattr(seen[0], name) for name in expected} == expected

    def test_a_refusal_names_the_batch_of_the_data(self, capsys):
        assert run(["train", "dcgan", "--pack", "3"]) == 2
        assert "expected --pack to divide the batch of 64 images" in capsys.readouterr().err


def test_what_is_on_by_default_can_be_turned_off(monkeypatch):
    seen = []
    monkeypatch.setattr("zerosum.api.train_config", lambda recipe, config, **_: seen.append(config))
    for flags in (["--data", "cifar10"], ["--data", "cifar10", "--no-hflip"], ["--hflip"]):
        assert run(["train", "dcgan", *flags]) == 0
    assert [config.hflip for config in seen] == [True, False, True]


class TestMistakes:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            (["trian"], 'Did you mean "train"'),
            (["train", "vanila"], "Did you mean 'vanilla'?"),
            (["train", "--epoch", "3"], "Did you mean --epochs?"),
            (["train", "--epochs", "none"], "--epochs: received 'none', expected a valid integer"),
            (["train", "--epochs", "0"], "--epochs: received '0', expected greater than"),
            (["train", "--precision", "fp16"], "'fp32', 'bf16', 'auto' or 'fp64'"),
            (["train", "--device", "gpu"], "expected auto, cpu, cuda"),
            (["train", "--device", "cuda:99"], "This machine has: "),
            (["train", "--size", "3q"], "HEIGHTxWIDTH"),
            (["train", "--data", "mnst"], "Did you mean 'mnist'?"),
            (["train", "--data", "tyni.npz"], "Did you mean 'tiny.npz'?"),
            (["train", "--config", "none.toml"], "none.toml"),
            (["train", "--epochs", "3", "vanilla"], "Write its name first"),
        ],
    )
    def test_each_gets_one_clear_message(self, here, capsys, tokens, expected):
        assert expected in refused(tokens, capsys)
        assert not (here / "runs").exists()

    def test_a_setting_in_a_file_that_nobody_knows(self, here, capsys):
        (here / "my.toml").write_text("epoch = 3\n")
        assert "Did you mean 'epochs'?" in refused(["train", "--config", "my.toml"], capsys)

    def test_an_empty_folder(self, here, capsys):
        (here / "empty").mkdir()
        assert "empty" in refused(["train", "--data", "empty"], capsys)

    def test_an_archive_whose_paths_climb(self, here, capsys):
        with zipfile.ZipFile("bad.zip", "w") as archive:
            archive.writestr("../../evil.png", b"")
        assert "../../evil.png" in refused(["train", "--data", "bad.zip"], capsys)

    def test_a_folder_of_something_else_is_left_alone(self, here, capsys):
        (here / "thesis").mkdir()
        (here / "thesis" / "chapter1.tex").write_text("dear reader")
        for flags in ([], ["--fresh"]):
            message = refused([*TRAIN, "--out", "thesis", *flags], capsys)
            assert "not empty and holds no run" in message
        assert (here / "thesis" / "chapter1.tex").read_text() == "dear reader"

    def test_another_config_is_named_field_by_field(self, trained, capsys):
        message = refused([*TRAIN, "--epochs", "3", "--learning-rate", "0.001"], capsys)
        assert "--learning-rate: the run has 0.0002, received 0.001" in message
        assert "epochs" not in message

    def test_a_run_of_a_newer_format(self, trained, capsys):
        config = json.loads((trained / "config.json").read_text())
        (trained / "config.json").write_text(json.dumps({**config, "format": 99}))
        for tokens in ([*TRAIN, "--epochs", "3"], ["sample", str(trained)]):
            assert "Upgrade zerosum" in refused(tokens, capsys)

    def test_a_flipped_bit_falls_back_loudly(self, trained, capsys):
        newest = trained / "checkpoints" / "144" / "state.safetensors"
        assert run([*TRAIN, "--epochs", "4"]) == 0
        newest = max((trained / "checkpoints").iterdir(), key=lambda path: int(path.name))
        data = bytearray((newest / "state.safetensors").read_bytes())
        data[len(data) // 2] ^= 4
        (newest / "state.safetensors").write_bytes(data)
        capsys.readouterr()
        assert run([*TRAIN, "--epochs", "4"]) == 0
        printed = capsys.readouterr().out
        assert "WARNING: damaged checkpoint" in printed
        assert "Epoch [4/4]" in printed

    def test_undecodable_files_are_one_line_and_strict_stops(self, here, capsys):
        folder = here / "photos"
        folder.mkdir()
        for index in range(4):
            Image.new("L", (8, 8), 60 * index).save(folder / f"{index}.png")
        for index in range(5):
            (folder / f"bad{index}.png").write_bytes(b"no picture")
        flags = ["--data", "photos", "--epochs", "1", "--hidden", "8"]
        assert run(["train", *flags]) == 0
        printed = capsys.readouterr().out
        assert printed.count("left out  5 files that cannot be decoded, such as bad0.png: ") == 1
        assert "bad0.png" in refused(["train", *flags, "--strict", "--fresh"], capsys)

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "setrlimit") and os.name == "nt", reason="needs rlimits")
    def test_a_disk_that_fills_up_loses_nothing(self, here):
        import resource

        def one_hundred_kilobytes_a_file():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        done = zerosum(
            *["train", "--data", "tiny.npz", "--epochs", "1"],
            preexec_fn=one_hundred_kilobytes_a_file,
        )
        _, errors = done.communicate(timeout=60)
        assert done.returncode == 1
        assert "make room and run the same command again" in errors
        assert "Traceback" not in errors
        checkpoints = here / "runs/vanilla-tiny/checkpoints"
        assert list(checkpoints.iterdir()) == []
        assert run(["train", "--data", "tiny.npz", "--epochs", "1"]) == 0


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["play"], "RUN is missing: zerosum play needs it."),
        (["export", "x"], "--out is missing: zerosum export needs it."),
        (["invert", "x"], "IMAGES is missing: zerosum invert needs it."),
        (["data", "pack"], "FOLDER is missing: zerosum data pack needs it."),
        (["export", "x", "--out"], "--out requires an argument."),
    ],
)
def test_what_is_missing_is_called_as_in_the_help(tokens, said, capsys):
    assert run(tokens) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tokens", "said"),
    [(["train"], "a training goes on from its last checkpoint"), (["doctor"], "Interrupted.\n")],
)
def test_ctrl_c_speaks_of_a_training_where_there_is_one(tokens, said, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "app", interrupted)
    monkeypatch.setattr(main_module, "command_line", lambda: interrupted_app(interrupted))
    assert run(tokens) == 130
    assert said in capsys.readouterr().err


def interrupted_app(call):
    """An app that is interrupted when it is called."""

    class Interrupted:
        def command(self, *args, **kwargs):
            pass

        __call__ = staticmethod(call)

    return Interrupted()


def test_an_export_is_told_from_a_run(tmp_path, capsys):
    (tmp_path / "generator.json").write_text("{}")
    assert run(["play", str(tmp_path)]) == 2
    assert "this needs the run itself" in capsys.readouterr().err


class TestSurroundings:
    def test_a_home_behind_an_equals_sign_is_the_users(self, trained, capsys, monkeypatch):
        monkeypatch.setenv("HOME", str(trained.parent))
        assert run(["sample", str(trained), "-n", "1", "--out=~/one.png"]) == 0
        assert (trained.parent / "one.png").exists()
        assert not (trained.parent / "~").exists()
        assert home_in("~/run") == "~/run"  # which shells have expanded where it was meant
        assert home_in("--label=~") == "--label=~"
        assert "no such home is known" in refused(["runs", "--out=~nobody-here/x"], capsys)

    @pytest.mark.parametrize("command", ["sample", "evaluate", "report", "data inspect", "runs"])
    def test_a_name_too_long_for_the_system_is_told(self, here, capsys, command):
        said = refused([*command.split(), "x" * 5000], capsys, code=None)
        assert "too long" in said or "There is no" in said or "expected" in said

    def test_a_folder_that_may_not_be_searched_is_told(self, here, capsys, monkeypatch):
        def refuse(path, **how):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(Path, "stat", refuse)
        said = refused(["sample", "private/run"], capsys, code=1)
        assert "'private/run" in said
        assert "cannot be used: Permission denied." in said

    def test_too_little_memory_is_told(self, here, capsys, monkeypatch):
        def too_much(*args, **kwargs):
            raise MemoryError

        monkeypatch.setattr("zerosum.export.opening.open_model", too_much)
        assert "The memory is not enough for this." in refused(["sample", "run"], capsys, code=1)

    def test_ascii_is_enough(self, here):
        plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
        process = zerosum("data", "inspect", "tiny.npz", env=plain)
        printed, said = process.communicate()
        assert (process.returncode, said) == (0, "")
        assert r"8\xd78" in printed
