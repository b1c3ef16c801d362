"""What training does to a sample: geometry put together first, then pixels."""
