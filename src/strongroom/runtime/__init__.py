"""Puts the server together: settings, the object graph, processes and threads."""
