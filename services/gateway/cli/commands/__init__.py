"""One module for each noun that `qm` knows."""
