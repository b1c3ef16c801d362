"""Tests of utils.training.run_files."""
