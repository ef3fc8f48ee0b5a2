"""The commands: one thin file a verb; nothing heavy is imported before a verb is chosen."""
