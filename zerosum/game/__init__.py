"""The game: two players, named terms, a round of turns; and how a batch becomes a Play.

`core` is the idea, `losses` and `penalties` are what players minimise, `generation`, `translation`
and `cycle` make Plays of batches.
"""
