"""Configurations of engines: certificate authorities, templates and the rest."""
