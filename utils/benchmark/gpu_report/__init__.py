"""One report of all that a GPU is to show: the stages, how they are run, and how everything is packed for it."""
