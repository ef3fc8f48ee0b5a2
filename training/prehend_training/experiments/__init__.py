"""Programs of several trainings: the ablation, everything on one machine."""
