import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zerosum.errors import UserError
from zerosum.game.share import Share, current, for_each
from zerosum.nets.unet import Dropout


def second_half(**changes):
    return Share(**({"start": 2, "stop": 5, "total": 5} | changes))


def drawn(draw, share=None):
    torch.manual_seed(1)
    if share is None:
        return draw()
    with share.under_way():
        return draw()


class TestForEach:
    @pytest.mark.parametrize("draw", [torch.rand, torch.randn])
    def test_a_share_has_its_own_of_the_whole_batchs_numbers(self, draw):
        whole = drawn(lambda: for_each(5, lambda n: draw(n, 3)))
        own = drawn(lambda: for_each(3, lambda n: draw(n, 3)), second_half())
        assert torch.equal(own, whole[2:])

    def test_of_several_batches_end_to_end_it_has_its_own_of_each(self):
        whole = drawn(lambda: for_each(10, lambda n: torch.rand(n, 1)))
        own = drawn(lambda: for_each(6, lambda n: torch.rand(n, 1)), second_half())
        assert torch.equal(own, torch.cat([whole[2:5], whole[7:]]))

    def test_the_numbers_behind_it_are_the_same_for_all(self):
        def draw(count):
            for_each(count, lambda n: torch.rand(n))
            return for_each(count, lambda n: torch.rand(n))

        assert torch.equal(drawn(lambda: draw(3), second_half()), drawn(lambda: draw(5))[2:])

    def test_other_rows_than_images_are_no_share(self):
        with second_half().under_way(), pytest.raises(UserError, match="for 4 rows were asked for"):
            for_each(4, lambda n: torch.rand(n))


class TestNetsThatKnowNothingOfShares:
    @pytest.mark.parametrize(
        "net", [Dropout(0.4), nn.Dropout(0.3), nn.Dropout2d(0.5), nn.Dropout1d(0.5)]
    )
    def test_dropout_draws_the_whole_batchs_masks(self, net):
        maps = torch.rand(5, 6, 4) if isinstance(net, nn.Dropout1d) else torch.rand(5, 6, 4, 4)
        whole = drawn(lambda: net(maps))
        assert torch.equal(drawn(lambda: net(maps[2:]), second_half()), whole[2:])
        assert not torch.equal(whole, maps)

    def test_dropout_that_is_off_stays_off(self):
        maps = torch.rand(3, 2)
        net = nn.Dropout(0.5).eval()
        assert torch.equal(drawn(lambda: net(maps), second_half()), maps)

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: torch.rand(3),
            lambda: torch.randn(3, 2),
            lambda: torch.rand_like(torch.ones(3)),
            lambda: torch.empty(3).normal_(),
            lambda: torch.ones(3).bernoulli(),
            lambda: torch.randint(4, (3,)),
            lambda: F.alpha_dropout(torch.ones(3, 2), training=True),
            lambda: nn.AlphaDropout()(torch.ones(3, 2)),
            lambda: nn.RReLU()(torch.ones(3, 2)),
            lambda: torch.rrelu(torch.ones(3, 2), training=True),
            lambda: F.gumbel_softmax(torch.ones(3, 2)),
            lambda: torch.dropout(torch.ones(3, 2), 0.5, True),
            lambda: F.scaled_dot_product_attention(*[torch.ones(3, 2, 2)] * 3, dropout_p=0.5),
            lambda: nn.MultiheadAttention(2, 1, dropout=0.5)(*[torch.ones(3, 2, 2)] * 3),
            lambda: nn.LSTM(2, 2, 2, dropout=0.5)(torch.ones(3, 2, 2)),
            lambda: nn.FractionalMaxPool2d(2, output_size=2)(torch.ones(3, 1, 5, 5)),
            lambda: F.fractional_max_pool2d_with_indices(torch.ones(3, 1, 5, 5), 2, 2),
            lambda: torch.distributions.Gamma(1.0, 1.0).sample(),
            lambda: torch.empty(3).log_normal_(),
            lambda: torch.empty(3).cauchy_(),
            lambda: torch.empty(3).geometric_(0.5),
        ],
    )
    def test_who_draws_by_itself_is_refused(self, draw):
        """Or every process would draw the same z for its images."""
        with second_half().under_way(), pytest.raises(UserError, match="for_each"):
            draw()
        draw()

    @pytest.mark.parametrize(
        "net",
        [nn.AlphaDropout(), nn.RReLU(), nn.MultiheadAttention(2, 1, dropout=0.5)],
        ids=lambda net: type(net).__name__,
    )
    def test_who_would_draw_but_in_training_is_not(self, net):
        maps = torch.ones(3, 2, 2)
        with second_half().under_way():
            net.eval()(*[maps] * (3 if isinstance(net, nn.MultiheadAttention) else 1))
            F.scaled_dot_product_attention(maps, maps, maps)

    def test_dropout_in_place_is_in_place(self):
        maps = torch.rand(5, 6)
        whole = drawn(lambda: F.dropout(maps, 0.4))
        own = maps[2:].clone()
        drawn(lambda: F.dropout(own, 0.4, inplace=True), second_half())
        assert torch.equal(own, whole[2:])


class TestAShare:
    def test_of_which_nothing_is_left_adds_nothing_and_stays_in_the_graph(self):
        asked = []

        def add_up(tensor):
            asked.append(tensor)
            return tensor

        leaf = torch.ones(2, requires_grad=True)
        share = second_half(start=0, stop=1, counts=False, add_up=add_up)
        assert share.weight == 0
        assert share.summed(leaf).tolist() == [0, 0]
        assert asked[0].requires_grad
        assert share.summed(torch.tensor([3])).tolist() == [0]

    def test_its_weight_is_what_it_has_of_the_batch(self):
        assert second_half().weight == pytest.approx(3 / 5)

    def test_gathering_puts_rows_into_their_places(self):
        assert second_half().gathered(torch.tensor([7, 8, 9])).tolist() == [0, 0, 7, 8, 9]

    def test_it_is_under_way_no_longer_than_asked(self):
        assert current() is None
        share = second_half()
        with share.under_way():
            assert current() is share
        assert current() is None
        with pytest.raises(ZeroDivisionError), share.under_way():
            _ = 1 / 0
        assert current() is None
