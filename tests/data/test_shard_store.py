"""The order of shards follows from seed and epoch alone, and every image comes once."""

import threading
from itertools import chain

import pytest
import torch

from zerosum.data.decode import Format
from zerosum.data.images import to_uint8
from zerosum.data.loader import Loader, Position
from zerosum.data.shard_reader import local_index
from zerosum.data.shard_store import Folder, Held, ShardImages
from zerosum.data.sources import load
from zerosum.data.store import in_memory
from zerosum.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def store(shards):
    """Opened anew each time: nothing is known of what was read before."""
    index = local_index(shards)
    return lambda **wanted: ShardImages(index, "train", Folder(shards), Format(**wanted))


def drawn(store, seed):
    return store.order(torch.Generator().manual_seed(seed))


def test_every_image_is_dealt_once_in_an_order_of_the_generator_alone(store):
    orders = [drawn(store(), seed).tolist() for seed in (1, 1, 2)]
    assert all(sorted(order) == list(range(70)) for order in orders)
    assert orders[0] == orders[1] != orders[2]


def test_a_window_is_of_few_shards_and_mixes_all_of_their_images(store):
    images = store()
    order = drawn(images, 3)
    shards = torch.searchsorted(torch.tensor(images._first_rows), order, right=True) - 1
    (plan,) = images._plans
    assert [len(window) for window in plan] == [4, 4, 4]
    start = 0
    for window in plan:
        count = sum(images._shards[shard].images for shard in window)
        part = shards[start : start + count]
        assert set(part.tolist()) == set(window)
        assert int((part[1:] != part[:-1]).sum()) > count // 2
        start += count
    assert start == 70


def test_a_small_set_is_dealt_as_any_other(store, monkeypatch):
    monkeypatch.setattr("zerosum.data.shard_store.WINDOW", 2**16)
    expected = torch.randperm(70, generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn(store(), 3), expected)


def test_rows_are_read_in_any_order_and_twice(store):
    images = store()
    whole = in_memory(images)
    rows = torch.tensor([69, 0, 33, 0, 12])
    assert torch.equal(store().take(rows), whole[rows])
    assert torch.equal(images[5], whole[5])


def test_they_may_be_made_smaller_and_gray(store, shards):
    found = in_memory(store(size=(3, 4), channels=1))
    assert found.shape == (70, 1, 3, 4)


def test_threads_may_read_at_a_time(store):
    images, whole, found = store(), in_memory(store()), {}

    def read(number):
        rows = torch.randperm(70, generator=torch.Generator().manual_seed(number))
        found[number] = torch.equal(images.take(rows), whole[rows])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(8), True)


def test_what_is_known_of_shards_stays_small(store):
    images = store()
    images._most_places = 3
    whole = in_memory(images)
    assert len(images._places) == 3
    assert torch.equal(images.take(torch.arange(70)), whole)


class TestDealing:
    """The same (seed, epoch, offset) is the same batch, however one came there."""

    def loader(self, images, batch_size=8):
        return Loader(images, batch_size=batch_size, seed=4, device=CPU)

    def deal(self, loader, count):
        return [
            (to_uint8(images), labels)
            for images, labels in (loader.next_batch() for _ in range(count))
        ]

    def same(self, some, others):
        return len(some) == len(others) and all(
            torch.equal(images, other_images) and torch.equal(labels, other_labels)
            for (images, labels), (other_images, other_labels) in zip(some, others, strict=True)
        )

    def test_each_epoch_deals_every_image_once(self, shards):
        data = load(shards)
        loader = self.loader(data)
        for _ in range(2):
            batches = self.deal(loader, 9)
            dealt = sorted(image.numpy().tobytes() for image in chain(*(b for b, _ in batches)))
            assert dealt == sorted(image.numpy().tobytes() for image in data.images)

    def test_labels_stay_with_their_images(self, pictures, shards):
        folder = load(pictures)
        class_of = {
            image.numpy().tobytes(): folder.classes[label]
            for image, label in zip(folder.images, folder.labels.tolist(), strict=True)
        }
        data = load(shards)
        for images, labels in self.deal(self.loader(data), 12):
            for image, label in zip(images, labels.tolist(), strict=True):
                assert class_of[image.numpy().tobytes()] == data.classes[label]

    @pytest.mark.parametrize("tier", ["memory", "disk"])
    def test_a_position_brings_back_the_same_batches(self, shards, tier):
        unbroken = self.deal(self.loader(load(shards, tier="disk")), 30)
        for done in (0, 1, 8, 9, 17, 26):
            loader = self.loader(load(shards, tier=tier))
            epoch, offset = divmod(done, 9)
            loader.seek(Position(seed=4, epoch=epoch, offset=8 * offset))
            assert self.same(self.deal(loader, 30 - done), unbroken[done:])

    @pytest.mark.parametrize("ranks", [2, 3, 8])
    def test_the_slices_of_ranks_are_the_batch_of_one(self, shards, ranks):
        """Each rank opens the shards by itself, and reads its slice of the rows."""
        generator = torch.Generator().manual_seed(9)
        stores = [load(shards, tier="disk").images for _ in range(ranks + 1)]
        orders = [store.order(generator.manual_seed(9)) for store in stores]
        for start in range(0, 70, 24):
            batches = [order[start : start + 24] for order in orders]
            slices = [
                store.take(torch.tensor_split(rows, ranks)[rank])
                for rank, (store, rows) in enumerate(zip(stores[1:], batches[1:], strict=True))
            ]
            assert torch.equal(torch.cat(slices), stores[0].take(batches[0]))


class TestDamage:
    @pytest.fixture
    def path(self, shards):
        return shards / "train-00005.tar"

    def read(self, store):
        in_memory(store)

    def test_a_missing_shard_is_named(self, store, path):
        path.unlink()
        with pytest.raises(UserError, match=r"train-00005.tar' of the shards is damaged or"):
            self.read(store())

    def test_a_truncated_one(self, store, path):
        path.write_bytes(path.read_bytes()[:-600])
        with pytest.raises(UserError, match=r"train-00005.tar'.*bytes, and the index says"):
            self.read(store())

    def test_one_of_another_content(self, store, path):
        content = bytearray(path.read_bytes())
        content[700] ^= 1
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"train-00005.tar'.*its sha256 is another"):
            self.read(store())

    def test_one_that_shrinks_while_it_is_read(self, store, path):
        images = store()
        self.read(images)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(UserError, match=r"train-00005.tar'.*it ends before byte"):
            self.read(images)

    def test_all_others_can_still_be_read(self, store, path):
        path.unlink()
        assert len(store().take(torch.arange(20))) == 20

    def test_one_that_is_back_is_read(self, store, path):
        images, content = store(), path.read_bytes()
        path.unlink()
        with pytest.raises(UserError):
            self.read(images)
        path.write_bytes(content)
        self.read(images)

    @pytest.mark.parametrize(
        ("content", "why"), [(b"no image", "cannot be decoded"), (None, "is of .* pixels")]
    )
    def test_a_shard_with_a_right_checksum_and_wrong_images(self, shards, content, why):
        import json
        import tarfile
        from io import BytesIO

        from PIL import Image

        from zerosum.data.pack import add, facts_of
        from zerosum.data.shards import INDEX

        if content is None:
            file = BytesIO()
            Image.new("RGB", (6, 6)).save(file, format="PNG")
            content = file.getvalue()
        path = shards / "train-00000.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(6):
                add(tar, f"{number}.png", content)
        index = json.loads((shards / INDEX).read_bytes())
        facts = facts_of(path, path.name)
        entry = next(e for e in index["splits"]["train"]["shards"] if e["file"] == path.name)
        entry |= {"bytes": facts.bytes, "sha256": facts.sha256, "images": 6}
        (shards / INDEX).write_text(json.dumps(index))
        images = ShardImages(local_index(shards), "train", Folder(shards), Format())
        with pytest.raises(UserError, match=f"train-00000.tar' in .*{why}"):
            images.take(torch.tensor([0]))


def test_in_memory_they_keep_their_order_and_their_name(store):
    images = store()
    held = Held(images)
    assert torch.equal(held.take(torch.arange(70)), in_memory(images))
    assert torch.equal(drawn(held, 5), drawn(images, 5))
    assert held.fingerprint == images.fingerprint
    assert (held.kept, images.kept.startswith("in shards, in ")) == ("in memory", True)
