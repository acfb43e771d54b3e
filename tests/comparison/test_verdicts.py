from zerosum.comparison.verdicts import judge


def test_a_figure_without_a_direction_is_higher_or_lower():
    first = {0: 1.0, 1: 2.0, 2: 3.0}
    second = {seed: value + 5 + 0.01 * seed for seed, value in first.items()}
    found = judge("other", first, second, better="like real", same_data=True)
    assert (found.verdict, found.wins) == ("higher by 5.01", None)
    assert judge("other", first, second, better="higher", same_data=True).verdict[:6] == "better"
