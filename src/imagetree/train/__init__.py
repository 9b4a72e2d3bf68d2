"""Training, evaluation and prediction with the networks."""
