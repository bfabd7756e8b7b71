"""What is known of models and their prices without asking their providers.

A snapshot is part of the package; a refreshed copy in the cache folder takes its place when it is newer.
"""
