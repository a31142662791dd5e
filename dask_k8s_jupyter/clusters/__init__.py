"""Cluster managers, and what they and the rest do to clusters: build, create, scale, reach, delete.

Importing this folder imports nothing: ``kubecluster`` alone needs distributed.
"""
