"""What the verbs have in common: options, and the data that they name."""
