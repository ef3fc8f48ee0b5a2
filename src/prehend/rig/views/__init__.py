"""One hand from several views of it."""
