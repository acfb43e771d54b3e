"""Shards as a source like any other: detected, in splits, in memory or not, and trained on."""

import os

import pytest
import torch

import zerosum
from zerosum.cli.main import run
from zerosum.data import has_splits, load
from zerosum.data.shards import INDEX
from zerosum.data.store import ImageStore, in_memory
from zerosum.errors import UserError
from zerosum.inference.run import Run


def test_the_folder_and_its_index_are_the_same(shards):
    folder, index = load(shards), load(shards / INDEX)
    assert torch.equal(in_memory(folder.images), in_memory(index.images))
    assert torch.equal(folder.labels, index.labels)
    assert folder.name == index.name == "shards"


def test_splits_are_those_of_the_folder(shards):
    assert has_splits(shards)
    assert len(load(shards, split="val")) == len(load(shards, split="test")) == 8
    report = load(shards).report
    assert (report.origin, report.held_out) == (f"{shards}, its train split", "its test split")
    with pytest.raises(UserError, match="has a held-out split of its own"):
        load(shards, hold_out=0.1)


def test_an_index_of_something_else_makes_no_shards(paint):
    folder = paint("a.png")
    (folder / INDEX).write_text('{"format": "another"}')
    assert len(load(folder)) == 1


def test_they_are_in_memory_where_they_fit_or_where_they_are_asked_to_be(shards, monkeypatch):
    assert load(shards).images.kept == "in memory"
    monkeypatch.setattr("zerosum.data.shard_reader.memory_bytes", lambda: 2 * 70 * 75 - 1)
    assert load(shards).images.kept == f"in shards, in {shards}"
    assert load(shards, tier="memory").images.kept == "in memory"
    monkeypatch.setattr("zerosum.data.shard_reader.memory_bytes", lambda: 100)
    with pytest.raises(UserError, match="--data-tier disk"):
        load(shards, tier="memory")


def test_the_fingerprint_is_the_same_wherever_they_are(shards):
    found = {load(shards, tier=tier).fingerprint() for tier in ("auto", "memory", "disk")}
    assert len(found) == 1
    assert load(shards, split="test").fingerprint() not in found


def test_the_fingerprint_is_of_the_pixels_as_they_are_brought(shards):
    """Or metrics of images that were cropped would serve for those that were padded."""

    def of(**wanted):
        return {load(shards, tier=tier, **wanted).fingerprint() for tier in ("memory", "disk")}

    channels, height, width = load(shards).images.shape[1:]
    others = (
        {"size": (8, 4), "fit": "crop"},
        {"size": (8, 4), "fit": "pad"},
        {"size": (8, 4), "fit": "squash"},
        {"size": (4, 4), "fit": "crop"},
        {"channels": 1},
    )
    assert len(set().union(of(), *(of(**wanted) for wanted in others))) == 6
    for fit in ("crop", "pad"):
        assert of() == of(size=(height, width), channels=channels, fit=fit)


def test_a_share_may_be_held_out_by_content(tmp_path, pictures, small_shards):
    from zerosum.data.decode import Format
    from zerosum.data.pack import pack

    pack(pictures / "train", tmp_path / "out", Format())
    parts = [load(tmp_path / "out", split=split, hold_out=0.3) for split in ("train", "val")]
    assert isinstance(parts[0].images, ImageStore)
    pixels = [{image.numpy().tobytes() for image in part.images} for part in parts]
    assert len(pixels[0]) + len(pixels[1]) == 70
    assert 5 < len(pixels[1]) < 40
    assert pixels[0].isdisjoint(pixels[1])
    assert len({part.fingerprint() for part in parts}) == 2


@pytest.mark.parametrize("setting", [{"value_range": (0, 9)}, {"all_frames": True}])
def test_what_was_settled_when_they_were_packed_is_refused(shards, setting):
    with pytest.raises(UserError, match="would change nothing"):
        load(shards, **setting)


def test_damaged_labels_are_named(shards):
    (shards / "train-labels.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"train-labels.npy' of the shards is damaged"):
        load(shards)


def test_classes_of_which_nothing_is_left_are_none(tmp_path, write_images, small_shards):
    from zerosum.data.decode import Format
    from zerosum.data.pack import pack

    write_images(tmp_path / "in" / "a", 4, size=(5, 5))
    write_images(tmp_path / "in" / "c", 4, size=(5, 5))
    (tmp_path / "in" / "b").mkdir()
    (tmp_path / "in" / "b" / "0.png").write_bytes(b"")
    pack(tmp_path / "in", tmp_path / "out", Format())
    loaded = load(tmp_path / "out")
    assert loaded.classes == ("a", "c")
    assert loaded.labels.sort().values.tolist() == [0] * 4 + [1] * 4


SETTINGS = {"epochs": 3, "batch_size": 8, "hidden": (6,), "latent_size": 3, "evaluate_every": 0}


def weights(run):
    return Run(run).generator().state_dict()


def same(some, others):
    return all(torch.equal(some[name], others[name]) for name in some)


@pytest.fixture
def trained(tmp_path, recorder):
    def train(name, data, **settings):
        zerosum.train(
            "vanilla",
            data=data,
            out=tmp_path / name,
            callbacks=[recorder],
            **{**SETTINGS, **settings},
        )
        return tmp_path / name

    return train


def test_a_training_ends_alike_from_memory_from_shards_and_resumed(trained, shards):
    whole = weights(trained("memory", shards, data_tier="memory"))
    assert same(whole, weights(trained("disk", shards, data_tier="disk")))
    path = trained("resumed", shards, data_tier="disk", epochs=1)
    assert not same(whole, weights(path))
    assert same(whole, weights(trained("resumed", shards, data_tier="memory")))


def test_a_run_goes_on_with_no_other_shards(trained, shards, pictures, tmp_path):
    from zerosum.data.decode import Format
    from zerosum.data.pack import pack

    trained("run", shards, epochs=1)
    (pictures / "train" / "cats" / "0.png").unlink()
    pack(pictures, tmp_path / "others", Format())
    with pytest.raises(UserError, match="cannot go on with"):
        trained("run", tmp_path / "others", epochs=2)


def test_a_shard_that_vanishes_costs_no_round(trained, shards, tmp_path, monkeypatch):
    monkeypatch.setattr("zerosum.data.loader.MOST_AHEAD", 2)
    whole = weights(trained("whole", shards, data_tier="disk", epochs=4))
    lost = shards / "train-00004.tar"
    content = lost.read_bytes()
    from zerosum.data.shard_store import ShardImages

    taken, take = [], ShardImages.take

    def vanish(self, rows):
        taken.append(len(rows))
        if len(taken) == 20:  # in the third epoch
            lost.unlink()
        return take(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(ShardImages, "take", vanish)
        with pytest.raises(
            UserError,
            match=r"train-00004.tar' of the shards .* Stopped at \d+ images, and saved in",
        ):
            trained("run", shards, data_tier="disk", epochs=4)
    lost.write_bytes(content)
    assert same(whole, weights(trained("run", shards, data_tier="disk", epochs=4)))


def test_inspection_understands_them(shards, capsys):
    assert run(["data", "inspect", str(shards)]) == 0
    told = capsys.readouterr().out
    assert "70 images of 5×5 RGB" in told
    assert "cats (40), dogs (30)" in told


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", ["train-labels.npy", "train-00000.tar"])
def test_a_named_pipe_is_not_waited_for(shards, name):
    (shards / name).unlink()
    os.mkfifo(shards / name)
    with pytest.raises(UserError, match=f"{name}' of the shards is damaged"):
        in_memory(load(shards, tier="disk").images)


def test_labels_of_another_size_are_not_read(shards, monkeypatch):
    with (shards / "train-labels.npy").open("r+b") as file:
        file.truncate(2**40)  # of which the disk has nothing
    with pytest.raises(UserError, match=r"it has 1,099,511,627,776 bytes, and the index says"):
        load(shards)
