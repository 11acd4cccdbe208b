"""Durable jobs: one small step at a time, under a lease and a fence."""
