"""Every score of a map against its mask, from arrays alone."""

from .scores import CURVES, PairScores, hard_scores, pair_scores

__all__ = ["CURVES", "PairScores", "hard_scores", "pair_scores"]
