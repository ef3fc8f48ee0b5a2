"""What all commands share: arguments, options, and how they end."""
