from collections import Counter, deque
from dataclasses import replace
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.data.images import ImageSet, to_uint8
from zerosum.data.loader import MOST_AHEAD, Loader, Position
from zerosum.data.store import ImageStore
from zerosum.errors import UserError

CPU = torch.device("cpu")
SIZES = st.integers(1, 60)
BATCH_SIZES = st.integers(1, 70)
SEEDS = st.integers(0, 2**63)


def numbered(num_images: int) -> ImageSet:
    """Images whose only pixel and whose label are both their number."""
    numbers = torch.arange(num_images)
    return ImageSet(
        images=numbers.to(torch.uint8).view(-1, 1, 1, 1),
        labels=numbers,
        classes=tuple(map(str, range(num_images))),
        name="numbers",
    )


def make(num_images: int, batch_size: int, seed: int = 0) -> Loader:
    return Loader(numbered(num_images), batch_size=batch_size, seed=seed, device=CPU)


def deal(loader: Loader, num_batches: int) -> list[list[int]]:
    """Forward batches as lists of image numbers, checking that labels fit their images."""
    dealt = []
    for _ in range(num_batches):
        images, labels = loader.next_batch()
        assert labels is not None
        assert labels.tolist() == to_uint8(images).flatten().tolist()
        dealt.append(labels.tolist())
    return dealt


def batches_in(loader: Loader) -> int:
    """Of an epoch."""
    return -(-len(loader._images) // loader.batch_size)


@given(SIZES, BATCH_SIZES, SEEDS)
def test_each_epoch_deals_every_image_once(num_images, batch_size, seed):
    loader = make(num_images, batch_size, seed)
    for _ in range(3):
        batches = deal(loader, batches_in(loader))
        assert sorted(chain(*batches)) == list(range(num_images))
        assert all(len(batch) == min(batch_size, num_images) for batch in batches[:-1])
        assert loader.position.offset == 0


@given(SIZES, BATCH_SIZES, SEEDS, st.data())
def test_a_position_brings_back_the_rest_of_the_sequence(num_images, batch_size, seed, data):
    loader = make(num_images, batch_size, seed)
    deal(loader, data.draw(st.integers(0, 3 * batches_in(loader))))
    position = loader.position
    rest = deal(loader, 2 * batches_in(loader))
    resumed = make(num_images, batch_size, data.draw(SEEDS))
    deal(resumed, data.draw(st.integers(0, 3)))
    resumed.seek(position)
    assert deal(resumed, len(rest)) == rest
    assert resumed.position == loader.position


@given(SIZES, BATCH_SIZES)
def test_the_position_counts_what_was_dealt(num_images, batch_size):
    loader = make(num_images, batch_size)
    seen = 0
    for _ in range(2 * batches_in(loader) + 1):
        seen += len(loader.next_batch()[0])
        assert loader.position.epoch * num_images + loader.position.offset == seen


def test_the_order_depends_on_seed_and_epoch_and_not_on_batches_or_global_state():
    torch.manual_seed(1)
    whole = deal(make(50, 50), 2)
    torch.manual_seed(2)
    parts = deal(make(50, 7), 8)
    assert whole[0] == list(chain(*parts))
    assert whole[0] != whole[1]
    assert whole[0] != deal(make(50, 50, seed=1), 1)[0]


def test_dealing_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    deal(make(10, 3), 9)
    assert torch.equal(before, torch.get_rng_state())


def test_the_order_is_the_same_on_every_day():
    # A change of it would break the resume of every saved run.
    assert deal(make(8, 8, seed=3), 1) == [[2, 5, 7, 0, 3, 1, 4, 6]]


def test_batches_are_scaled_floats_and_labels_only_where_there_are_any():
    data = ImageSet(
        images=torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 5),
        labels=None,
        classes=(),
        name="two",
    )
    images, labels = Loader(data, batch_size=9, seed=0, device=CPU).next_batch()
    assert (images.shape, images.dtype, labels) == ((2, 3, 4, 5), torch.float32, None)
    assert sorted(images[:, 0, 0, 0].tolist()) == [-1, 1]


def stacked(num_images: int, *, matched: bool) -> ImageSet:
    """Sources of one channel whose only pixel is their number, and targets of two alike."""
    numbers = torch.arange(num_images, dtype=torch.uint8).view(-1, 1, 1, 1)
    return ImageSet(
        images=numbers.expand(-1, 3, 1, 1),
        labels=None,
        classes=(),
        name="pairs",
        source_channels=1,
        matched=matched,
    )


@pytest.mark.parametrize("matched", [True, False])
def test_sources_go_with_their_own_targets_or_with_others(matched):
    def deal_pairs(loader: Loader, num_batches: int) -> list[tuple[list[int], list[int]]]:
        dealt = []
        for _ in range(num_batches):
            images = to_uint8(loader.next_batch()[0])[:, :, 0, 0]
            assert torch.equal(images[:, 1], images[:, 2])
            dealt.append((images[:, 0].tolist(), images[:, 1].tolist()))
        return dealt

    data = stacked(30, matched=matched)
    loader = Loader(data, batch_size=8, seed=0, device=CPU)
    orders = []
    for _ in range(2):
        sources, targets = (
            list(chain(*half)) for half in zip(*deal_pairs(loader, batches_in(loader)), strict=True)
        )
        assert sorted(sources) == sorted(targets) == list(range(30))
        assert (sources == targets) == matched
        orders.append([targets.index(source) for source in sources])
    # Chance brings others together in each epoch.
    assert (orders[0] == orders[1]) == matched

    loader.next_batch()
    position = loader.position
    rest = deal_pairs(loader, 9)
    resumed = Loader(data, batch_size=8, seed=1, device=CPU)
    resumed.seek(position)
    assert deal_pairs(resumed, 9) == rest


@pytest.mark.parametrize(("epoch", "offset"), [(0, 10), (0, -1), (-1, 0)])
def test_a_position_that_does_not_exist_is_refused(epoch, offset):
    with pytest.raises(UserError, match=r"There is no Position\(.*data set of 10 images"):
        make(10, 3).seek(Position(seed=0, epoch=epoch, offset=offset))


def test_a_batch_needs_an_image():
    with pytest.raises(UserError, match="batch size must be at least 1, not 0"):
        make(10, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_every_device_is_dealt_the_same():
    for resident in (True, False):
        gpu = Loader(
            numbered(50), batch_size=7, seed=0, device=torch.device("cuda"), resident=resident
        )
        assert deal(gpu, 20) == deal(make(50, 7), 20)


class Elsewhere(ImageStore):
    """Images that a loader has to read."""

    def __init__(self, images):
        self.images = images
        self.lost = False

    @property
    def shape(self):
        return self.images.shape

    def take(self, rows):
        if self.lost:
            raise UserError("the disk is gone")
        return self.images[rows]


@pytest.mark.parametrize("matched", [True, False])
def test_what_is_read_ahead_is_dealt_as_from_memory(matched):
    pixels = torch.randint(0, 256, (23, 2, 3, 3), generator=torch.Generator().manual_seed(1))
    pixels = pixels.to(torch.uint8)
    loaders = [
        Loader(
            ImageSet(
                images=images,
                labels=torch.arange(23),
                classes=("",) * 23,
                name="set",
                source_channels=1,
                matched=matched,
            ),
            batch_size=5,
            seed=3,
            device=CPU,
        )
        for images in (pixels, Elsewhere(pixels))
    ]

    def compare(num_batches):
        for _ in range(num_batches):
            (images, labels), (others, other_labels) = (each.next_batch() for each in loaders)
            assert torch.equal(images, others)
            assert torch.equal(labels, other_labels)
            assert loaders[0].position == loaders[1].position

    compare(12)
    for position in (Position(seed=3, epoch=1, offset=7), Position(seed=9, epoch=0, offset=0)):
        for loader in loaders:
            loader.seek(position)
        compare(7)


class Asked(Elsewhere):
    """Notes the rows that are asked for."""

    def __init__(self, images):
        super().__init__(images)
        self.rows = []

    def take(self, rows):
        self.rows += rows.tolist()
        return super().take(rows)


@pytest.mark.parametrize("matched", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False], ids=["from a store", "from memory"])
def test_of_several_processes_each_reads_and_deals_its_own_alone(matched, elsewhere):
    """A batch is read once by all together; put side by side, what they deal is the batch."""
    data = stacked(23, matched=matched)
    stores = [Asked(data.images) for _ in range(3)]

    def loader_of(images, own=None):
        changed = replace(data, images=images, labels=torch.arange(23), classes=("",) * 23)
        return Loader(changed, batch_size=6, seed=4, device=CPU, own=own)

    whole = loader_of(data.images)
    loaders = [
        loader_of(
            store if elsewhere else data.images,
            own=lambda total, rank=rank: (total * rank // 3, total * (rank + 1) // 3),
        )
        for rank, store in enumerate(stores)
    ]
    for _ in range(8):
        images, labels = whole.next_batch()
        shares = [loader.next_batch() for loader in loaders]
        assert torch.equal(torch.cat([share[0] for share in shares]), images)
        assert torch.equal(torch.cat([share[1] for share in shares]), labels)
        starts = [len(images) * rank // 3 for rank in range(3)]
        assert [share[2:] for share in shares] == [(start, len(images)) for start in starts]
        assert all(loader.position == whole.position for loader in loaders)
    if elsewhere:
        for loader in loaders:
            loader.require_batches(MOST_AHEAD, stopped=lambda: False)
        epochs = (8 + MOST_AHEAD) / whole.num_batches
        times = epochs if matched else 2 * epochs  # a row is then of a source and of a target
        assert Counter(chain(*(store.rows for store in stores))) == dict.fromkeys(range(23), times)
        assert max(len(store.rows) for store in stores) < 0.4 * 23 * times


def test_images_that_cannot_be_read_any_more_are_an_error_where_they_are_due():
    pixels = torch.zeros(64, 1, 2, 2, dtype=torch.uint8)
    store = Elsewhere(pixels)
    loader = Loader(
        ImageSet(images=store, labels=None, classes=(), name="set"),
        batch_size=1,
        seed=0,
        device=CPU,
    )
    loader.next_batch()
    store.lost = True
    with pytest.raises(UserError, match="the disk is gone"):
        deque(iter(loader.next_batch, None), maxlen=0)


def test_it_says_where_images_are_kept():
    images = torch.zeros(1500, 1, 2, 2, dtype=torch.uint8)
    kept = [
        Loader(
            ImageSet(images=each, labels=None, classes=(), name="set"),
            batch_size=2,
            seed=0,
            device=CPU,
        ).kept
        for each in (images, Elsewhere(images))
    ]
    assert kept == ["in memory (6 kB)", "on disk (6 kB), read ahead"]


def test_a_batch_that_cannot_be_read_is_the_next_one_still():
    class Flaky(ImageStore):
        fingerprint = None
        fails = True

        @property
        def shape(self):
            return torch.Size((12, 1, 1, 1))

        def take(self, rows):
            if self.fails and 0 in rows.tolist():
                raise UserError("The disk is gone.")
            return rows.to(torch.uint8)[:, None, None, None]

    def batches(images, count):
        data = ImageSet(images=images, labels=None, classes=(), name="flaky")
        loader = Loader(data, batch_size=1, seed=0, device=CPU)
        found = []
        while len(found) < count:
            try:
                found.append(to_uint8(loader.next_batch()[0]).flatten().tolist())
            except UserError:
                images.fails = False
        return found, loader.position

    whole = Flaky()
    whole.fails = False
    assert batches(Flaky(), 15) == batches(whole, 15)
