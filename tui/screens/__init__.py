"""One file for each screen, its style beside it."""
