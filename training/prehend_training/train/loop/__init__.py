"""How any network learns: the loop, its checkpoints, processes and optimisers, and what a preset is."""
