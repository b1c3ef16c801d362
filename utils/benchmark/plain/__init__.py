"""What our code is timed against: loading and training as scripts of this field write them."""
