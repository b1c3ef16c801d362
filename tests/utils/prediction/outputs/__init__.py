"""Tests of utils.prediction.outputs."""
