"""What a training run keeps in its folder: checkpoints, record, logs, and the lock that makes the folder its own."""
