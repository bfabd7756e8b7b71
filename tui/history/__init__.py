"""Conversations on disk: written as they stream, so that nothing that was shown is ever lost."""
