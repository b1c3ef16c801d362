"""Every score of a map against its mask, from arrays alone."""

from .reference import border_scores, naive_scores
from .scores import CURVES, PairScores, hard_scores, pair_scores

__all__ = ["CURVES", "PairScores", "border_scores", "hard_scores", "naive_scores", "pair_scores"]
