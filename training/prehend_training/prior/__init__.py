"""HHMR's training: poses, batches with noise and with conditions that come and go, losses, what it is compared with."""
