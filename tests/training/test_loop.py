"""The loop with its parts: when things are due, what is logged, and how it stops."""

import errno
import os
import signal
from dataclasses import dataclass, replace

import pytest
import torch

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.core import Game, Player
from zerosum.recipes import get
from zerosum.recipes.gan import build
from zerosum.training import checkpoint, loop
from zerosum.training.checkpoint import Snapshot
from zerosum.training.ema import EMA
from zerosum.training.interfaces import Evaluation
from zerosum.training.loop import DataLost, Loop, Schedule, TrainingDiverged
from zerosum.training.run_directory import RunDirectory, StorageFailed
from zerosum.training.signals import Interrupted
from zerosum.training.state import State


def vanilla(**settings):
    return get("vanilla").configure(settings)


SHAPE = (1, 4, 4)


@dataclass(frozen=True)
class Position:
    epoch: int = 0
    offset: int = 0


class Loader:
    """20 random images an epoch, in batches of 8, 8 and 4, or of another size."""

    def __init__(self, batch_size=8):
        self.position, self.batch_size, self.dealt = Position(), batch_size, 0
        self.lost_at = None  # batches that can be read, where not all can

    def require_batches(self, count, *, stopped):
        if self.lost_at is not None and self.dealt + count > self.lost_at:
            raise UserError("The disk is gone.")

    def next_batch(self):
        epoch, offset = self.position.epoch, self.position.offset
        count = min(self.batch_size, 20 - offset)
        self.dealt += 1
        offset += count
        self.position = Position(epoch + 1, 0) if offset == 20 else Position(epoch, offset)
        generator = torch.Generator().manual_seed(self.dealt)
        return torch.rand(count, *SHAPE, generator=generator) * 2 - 1, None


class Bench:
    """A loop with all its parts in reach."""

    def __init__(self, path, recorder, *, turns="DG", batch_size=8, D_terms=None, G_terms=None):
        torch.manual_seed(0)
        game = build(
            vanilla(hidden=(6,), latent_size=3), DataSpec(shape=SHAPE), device=torch.device("cpu")
        )
        game = replace(
            game,
            turns=turns,
            D=replace(game.D, objective={**game.D.objective, **(D_terms or {})}),
            G=replace(game.G, objective={**game.G.objective, **(G_terms or {})}),
        )
        self.state = State(game, EMA(game.G.net, half_life=10))
        self.directory = RunDirectory(path)
        self.directory.claim()
        self.directory.write_config({})
        self.loader = Loader(batch_size)
        self.recorder = recorder
        self.drawn = []
        self.saved = []
        self.evaluated = []
        self.score = lambda: 0.5

    def loop(self, **schedule):
        defaults = {
            "log_every": 1,
            "sample_every": 1,
            "checkpoint_every": 1,
            "evaluate_every": 0,
            "patience": None,
            "supervised": False,
            "seed": 0,
            "bf16": False,
        }
        schedule = {  # given in epochs, of 20 images
            name: round(20 * value) if name.endswith("_every") else value
            for name, value in (defaults | schedule).items()
        }
        made = Loop(
            self.state,
            self.loader,
            self.directory,
            schedule=Schedule(images_per_epoch=20, **schedule),
            callback=self.recorder,
            draw=lambda epoch, history: self.drawn.append(epoch),
            evaluate=self.evaluate,
        )
        save = self.directory.checkpoints.save

        def noted(snapshot, *, seen, **told):
            path = save(snapshot, seen=seen, **told)
            self.saved.append(seen)
            return path

        self.directory.checkpoints.save = noted
        return made

    def run(self, **schedule):
        self.loop(**schedule).run()

    def evaluate(self, history):
        self.evaluated.append(self.state.progress.seen)
        return Evaluation(metrics={"distance": self.score()}, health={"verdict": "healthy"})

    def newest(self):
        return next(iter(self.directory.checkpoints.newest()))


@pytest.fixture
def bench(tmp_path, recorder):
    return lambda **options: Bench(tmp_path / "run", recorder, **options)


class TestWhatIsDue:
    def test_pictures_and_checkpoints_come_every_so_many_epochs_and_at_the_end(self, bench):
        it = bench()
        it.run(budget=140, sample_every=2, checkpoint_every=3)
        assert it.drawn == [2, 4, 6, 7]
        assert it.saved == [60, 120, 140]
        assert [record["epoch"] for record in it.recorder.ticks] == [1, 2, 3, 4, 5, 6, 7]

    def test_a_budget_in_images_may_end_within_an_epoch(self, bench):
        it = bench()
        it.run(budget=44, sample_every=10, checkpoint_every=10)
        assert it.state.progress.seen == 48  # whole batches
        assert (it.state.progress.epoch, it.state.progress.offset) == (2, 8)
        assert [record["epoch"] for record in it.recorder.ticks] == [1, 2, 2.4]
        assert it.drawn == [2.4]
        assert it.saved == [48]

    def test_a_round_of_many_turns_may_end_several_small_epochs(self, bench):
        # An epoch is three batches and a round five: epochs 2 and 4 end within one.
        it = bench(turns="DDDDDG")
        it.run(budget=100, sample_every=2, checkpoint_every=3)
        assert [record["epoch"] for record in it.recorder.ticks] == [1, 3, 5]
        assert it.drawn == [3, 5]
        assert it.saved == [68, 100]

    def test_nothing_is_trained_beyond_the_budget(self, bench):
        it = bench()
        it.run(budget=60)
        it.run(budget=60)
        assert it.loader.dealt == 9
        assert len(it.recorder.ticks) == 3

    def test_the_watcher_hears_the_beginning_and_the_end(self, bench):
        it = bench()
        it.run(budget=20)
        it.run(budget=40)
        assert [began["seen"] for began in it.recorder.began] == [0, 20]
        assert it.recorder.began[0] == {"seen": 0, "budget": 20, "images_per_epoch": 20}
        assert it.recorder.ended == 2

    def test_and_the_losses_of_the_epoch_so_far_about_once_a_second(self, bench):
        it = bench()
        made = it.loop(budget=40)
        made.UPDATE_SECONDS = -1  # at once
        made.run()
        assert [update["seen"] for update in it.recorder.updates] == [8, 16, 28, 36]
        assert it.recorder.updates[0]["losses"].keys() == {"loss_D", "loss_G"}


def test_every_turn_of_a_run_has_a_number_of_its_own(bench, monkeypatch):
    entered = []
    monkeypatch.setattr(loop, "play_round", noting(loop.play_round, entered))
    it = bench(turns="DDG")
    it.run(budget=100)
    assert entered == [3 * number for number in range(len(entered))]
    assert it.state.progress.turns == 3 * len(entered)


def noting(play_round, entered):
    def played(*args, **options):
        entered.append(options["turn_index"])
        return play_round(*args, **options)

    return played


def test_images_that_are_lost_end_it_between_two_rounds_and_saved(bench, tmp_path):
    it = bench(turns="DDG")
    it.loader.lost_at = 5  # in the middle of the third round
    with pytest.raises(DataLost, match=r"^The disk is gone. Stopped at 28 images, and saved in"):
        it.run(budget=100)
    assert it.saved[-1] == 28
    it.loader.lost_at = None
    it.run(budget=100)
    untroubled = Bench(tmp_path / "other", it.recorder, turns="DDG")
    untroubled.run(budget=100)
    assert it.state.progress.seen == untroubled.state.progress.seen
    for mine, others in zip(
        it.state.game.G.parameters, untroubled.state.game.G.parameters, strict=True
    ):
        assert torch.equal(mine, others)


def test_images_that_were_never_there_leave_nothing(bench):
    it = bench()
    it.loader.lost_at = 0
    with pytest.raises(UserError, match=r"^The disk is gone.$"):
        it.run(budget=100)
    assert it.saved == []


class TestTheLog:
    def test_a_line_has_losses_terms_figures_and_the_pace(self, bench):
        it = bench(D_terms={"more": lambda play: 2 * play.real_logits.square().mean()})
        it.run(budget=40)
        first, second = it.directory.history().records
        assert it.recorder.ticks == [first, second]
        assert first.keys() == {
            "epoch",
            "seen",
            "loss_D",
            "loss_G",
            "D/cross_entropy",
            "D/more",
            "G/cross_entropy",
            "D(x)",
            "D(G(z))",
            "images_per_second",
            "seconds",
        }
        assert (first["epoch"], first["seen"], second["seen"]) == (1, 20, 40)
        assert first["loss_D"] == first["D/cross_entropy"] + first["D/more"]
        assert first["loss_G"] == first["G/cross_entropy"]
        assert 0 < first["D(x)"] < 1
        assert first["seconds"] <= second["seconds"]

    def test_losses_are_the_means_over_the_epochs_rounds(self, bench):
        rounds = []

        def noted(play):
            rounds.append(play.fake_logits.square().mean())
            return rounds[-1]

        it = bench(G_terms={"noted": noted})
        it.run(budget=40)
        for record, values in zip(
            it.directory.history().records, (rounds[:3], rounds[3:]), strict=True
        ):
            assert record["G/noted"] == torch.stack(values).mean().item()

    def test_a_checkpoint_knows_the_logs_length(self, bench):
        it = bench()
        it.run(budget=40)
        length = it.newest()[1].facts["progress"]["log_bytes"]
        assert length == it.directory.log_path.stat().st_size


class TestCheckpoints:
    def test_carry_the_score(self, bench):
        it = bench()
        scores = iter([3.0, 1.0, 2.0, 4.0, 5.0])
        it.score = lambda: next(scores)
        it.run(budget=100, evaluate_every=1)
        assert it.directory.checkpoints.best() == 40
        assert it.directory.checkpoints.seen() == [40, 80, 100]

    def test_a_damaged_one_of_the_same_name_is_written_again(self, bench):
        it = bench()
        it.directory.checkpoints.save(Snapshot({}, {}), seen=40)
        (it.directory.checkpoints.path(40) / checkpoint.TENSORS).write_bytes(b"")
        it.run(budget=40)
        seen, found = it.newest()
        assert seen == 40
        assert isinstance(found, Snapshot)

    def test_the_last_state_is_saved_once(self, bench):
        it = bench()
        it.recorder.tick = lambda record: os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            it.run(budget=20)
        assert it.saved == [20]


class TestExaminations:
    def test_come_every_so_many_epochs_and_at_the_end(self, bench):
        it = bench()
        it.run(budget=140, evaluate_every=3)
        assert it.evaluated == [60, 120, 140]
        found = [record.get("metrics") for record in it.directory.history().records]
        half = {"distance": 0.5}
        assert found == [None, None, half, None, None, half, half]
        assert it.directory.history().records[2]["health"] == {"verdict": "healthy"}

    def test_there_are_none_at_0(self, bench):
        it = bench()
        it.run(budget=40, evaluate_every=0)
        assert it.evaluated == []
        assert it.directory.checkpoints.best() is None

    def test_a_better_state_is_saved_between_checkpoints(self, bench):
        it = bench()
        scores = iter([3.0, 1.0, 2.0, 4.0, 5.0, 6.0])
        it.score = lambda: next(scores)
        it.run(budget=120, evaluate_every=1, checkpoint_every=6)
        assert it.saved == [20, 40, 120]
        assert it.directory.checkpoints.best() == 40

    def test_the_run_ends_when_nothing_is_gained(self, bench):
        it = bench()
        scores = iter([3.0, 1.0, 2.0, 1.5, 1.1, 0.5])
        it.score = lambda: next(scores)
        it.run(budget=200, evaluate_every=1, checkpoint_every=10, patience=3)
        assert it.state.progress.seen == 100
        assert it.saved[-1] == 100
        assert it.drawn[-1] == 5

    def test_it_goes_on_as_long_as_something_is_gained(self, bench):
        it = bench()
        scores = iter([5.0, 6.0, 4.0, 4.5, 3.0])
        it.score = lambda: next(scores)
        it.run(budget=100, evaluate_every=1, patience=2)
        assert it.state.progress.seen == 100

    def test_no_examination_of_weights_that_are_not_finite(self, bench):
        it = bench()

        def poison(play):
            with torch.no_grad():
                next(it.state.ema.net.parameters()).fill_(torch.nan)
            return play.fake_logits.mean() * 0

        looked = bench(G_terms={"poison": poison})
        it.state = looked.state
        with pytest.raises(TrainingDiverged, match="not finite"):
            looked.run(budget=20, evaluate_every=1)
        assert looked.evaluated == []


class TestSignals:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_the_round_under_way_is_finished_and_saved(self, bench, number, code):
        it = bench()
        deal = it.loader.next_batch

        def interrupted():
            if it.loader.dealt == 4:
                os.kill(os.getpid(), number)
            return deal()

        it.loader.next_batch = interrupted
        with pytest.raises(Interrupted, match=r"at 36 images, and saved in .*again") as stopped:
            it.run(budget=1000)
        assert stopped.value.exit_code == code
        seen, snapshot = it.newest()
        assert seen == 36
        assert snapshot.facts["progress"]["offset"] == 16
        assert len(snapshot.tensors["tally/D/cross_entropy"]) == 2
        assert it.recorder.ended == 1

    @pytest.mark.parametrize("dealt", [0, 4])
    def test_a_server_that_stalls_is_not_waited_for(self, bench, dealt):
        it = bench()

        def stall(count, *, stopped):
            if it.loader.dealt == dealt:
                assert not stopped()
                os.kill(os.getpid(), signal.SIGTERM)
                assert stopped()

        it.loader.require_batches = stall
        said = r"at 28 images, and saved" if dealt else "at 0 images, before a round was played"
        with pytest.raises(Interrupted, match=said) as stopped:
            it.run(budget=1000)
        assert stopped.value.exit_code == 143
        assert it.loader.dealt == dealt
        assert it.directory.checkpoints.seen() == ([20, 28] if dealt else [])

    def test_the_time_spent_is_saved_too_and_adds_up(self, bench):
        it = bench()
        deal = it.loader.next_batch

        def interrupted():
            os.kill(os.getpid(), signal.SIGINT)
            return deal()

        it.loader.next_batch = interrupted
        spent = [0.0]
        for _ in range(3):
            with pytest.raises(Interrupted):
                it.run(budget=1000)
            spent.append(it.newest()[1].facts["progress"]["seconds"])
        assert spent == sorted(set(spent))


def spoil(value, *, at):
    """A term that is 0 until its call number `at`, and then `value`."""
    calls = 0

    def term(play):
        nonlocal calls
        calls += 1
        return play.fake_logits.sum() * 0 + (value if calls >= at else 0.0)

    return term


class TestDivergence:
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (
                {"D_terms": {"penalty": spoil(float("nan"), at=5)}},
                "the term 'penalty' of D's turn became nan in round 5 of the run",
            ),
            (
                {"G_terms": {"l1": spoil(float("inf"), at=6)}},
                "the term 'l1' of G's turn became inf in round 6 of the run",
            ),
            (  # D's eighth turn and G's second are in one round, and D's comes first.
                {
                    "D_terms": {"penalty": spoil(float("-inf"), at=8)},
                    "turns": "DDDDDG",
                    "batch_size": 1,
                },
                "the term 'penalty' of D's turn became -inf in round 2 of the run",
            ),
        ],
    )
    def test_the_turn_the_term_and_the_round_are_named(self, bench, options, named):
        # Weights that are NaN spoil every later term: the first is the one to blame.
        it = bench(**options)
        with pytest.raises(TrainingDiverged) as diverged:
            it.run(budget=1000)
        assert named in str(diverged.value)
        assert diverged.value.exit_code == 1
        assert it.recorder.ended == 1

    def test_losses_whose_mean_alone_is_too_large_are_told_too(self, bench):
        it = bench(D_terms={"huge": lambda play: play.real_logits.mean() * 0 - 2e38})
        with pytest.raises(TrainingDiverged, match="too large for its mean"):
            it.run(budget=1000)

    def test_the_last_good_checkpoint_stays_the_newest(self, bench):
        it = bench(D_terms={"penalty": spoil(float("nan"), at=8)})
        with pytest.raises(TrainingDiverged, match="checkpoint at 40 images, before this, is kept"):
            it.run(budget=1000)
        assert it.saved == [20, 40]
        seen, snapshot = it.newest()
        assert seen == 40
        assert all(t.isfinite().all() for t in snapshot.tensors.values())
        assert len(it.directory.history().records) == len(it.drawn) == 2

    def test_before_the_first_checkpoint_there_is_none_to_name(self, bench):
        it = bench(D_terms={"penalty": spoil(float("nan"), at=1)})
        with pytest.raises(TrainingDiverged, match="There was no checkpoint before this"):
            it.run(budget=1000)
        assert it.saved == []

    def test_it_stops_within_the_epoch(self, bench):
        it = bench(D_terms={"penalty": spoil(float("nan"), at=1)})
        made = it.loop(budget=1000)
        made.UPDATE_SECONDS = -1
        with pytest.raises(TrainingDiverged, match="round 1 of the run"):
            made.run()
        assert it.loader.dealt == 1

    def test_a_signal_does_not_save_it_either(self, bench):
        it = bench(D_terms={"penalty": spoil(float("nan"), at=1)})
        deal = it.loader.next_batch

        def interrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            return deal()

        it.loader.next_batch = interrupted
        with pytest.raises(TrainingDiverged):
            it.run(budget=1000)
        assert it.saved == []

    def test_weights_that_are_not_finite_are_not_saved_though_every_loss_is(self, bench):
        it = bench()

        def spoiled(net):
            next(net.parameters()).data[0, 0] = float("inf")

        game = it.state.game
        G: Player = replace(game.G, constraint=spoiled)
        it.state.game = Game(G=G, D=game.D, forward=game.forward, turns=game.turns)
        with pytest.raises(TrainingDiverged, match=r"'G/layers.0.weight' holds values that are"):
            it.run(budget=8)
        assert it.saved == []


class TestAFullDisk:
    @pytest.fixture
    def fill(self, monkeypatch):
        """Make the disk full from the next checkpoint on; give a function that makes room."""
        write = checkpoint.write_whole
        full = []

        def refuse(path, data, **how):
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, data, **how)

        monkeypatch.setattr(checkpoint, "write_whole", refuse)
        return full

    def test_older_checkpoints_stay_whole_and_training_goes_on_from_them(
        self, bench, fill, tmp_path, new_recorder
    ):
        it = bench()
        it.recorder.tick = lambda record: fill.append(1) if record["epoch"] == 3 else None
        with pytest.raises(StorageFailed, match=r"No space left .*run the same command again"):
            it.run(budget=80)
        assert it.recorder.ended == 1
        assert it.directory.checkpoints.seen() == [20, 40]

        fill.clear()
        again = bench()
        again.state.restore(again.newest()[1])
        again.loader.position, again.loader.dealt = Position(2, 0), 6
        again.directory.cut_log(again.state.progress.log_bytes)
        again.recorder = new_recorder()
        again.run(budget=80)

        whole = Bench(tmp_path / "whole", new_recorder())
        whole.run(budget=80)
        ours, expected = again.newest()[1].tensors, whole.newest()[1].tensors
        assert all(torch.equal(ours[name], tensor) for name, tensor in expected.items())
        assert [r["epoch"] for r in again.directory.history().records] == [1, 2, 3, 4]

    def test_a_reader_of_our_output_that_left_is_not_a_full_disk(self, bench):
        it = bench()

        def nobody_reads(record):
            raise BrokenPipeError

        it.recorder.tick = nobody_reads
        with pytest.raises(BrokenPipeError):
            it.run(budget=80)


def test_a_players_loss_is_the_sum_of_its_terms():
    means = {"D/a": 1.0, "D/b": 2.0, "G/a": 4.0, "D(x)": 8.0}
    assert loop.losses(means) == {"loss_D": 3.0, "loss_G": 4.0}


def test_what_fails_in_a_callback_is_not_blamed_on_the_disk(bench):
    def refuse(record):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    it = bench()
    it.recorder.tick = refuse
    with pytest.raises(ConnectionRefusedError):
        it.run(budget=1000)
    assert it.recorder.ended == 1
