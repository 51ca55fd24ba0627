"""One honest relay brain, with its policies as values."""
