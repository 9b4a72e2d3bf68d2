"""One file a peer. Each has `VARIANTS`: functions from a `Work` to its epochs of batches."""
