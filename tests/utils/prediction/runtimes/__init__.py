"""Tests of utils.prediction.runtimes and of export to them."""
