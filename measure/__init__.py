"""Saved 8-bit prediction maps in, the numbers papers print out: numpy, scipy and opencv, no torch."""
