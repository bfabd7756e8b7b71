"""Plugins of others: signed catalogues, the store of installed code, consent."""
