"""From a trained network to weights that both backends run."""
