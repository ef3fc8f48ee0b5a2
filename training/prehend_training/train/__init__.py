"""What is trained and how: presets, tasks, optimisers, the loop, checkpoints, export."""
