"""One file for each widget, its style beside it."""
