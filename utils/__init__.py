"""Everything around the networks: data, losses, training, prediction, benchmarks."""
