"""Topics: names below a name, quality of service, and why nothing arrives."""
