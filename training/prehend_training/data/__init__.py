"""From stored, rendered or photographed samples to batches."""
