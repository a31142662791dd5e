"""The embedded API server: objects, discovery, watches, patches, access control, over TLS on
loopback.

What it does not implement it refuses with a proper Status, never by pretending.
"""
