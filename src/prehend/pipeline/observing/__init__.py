"""From targets to measured hands and what they hold."""
