"""Billet and the real ``ironic-python-agent`` from PyPI, unmodified: lookup, token, heartbeats over TLS, and a clean step.

The agent is made for machines whose disks may be wiped, so it runs enclosed (``enclosure.sh``): as an unprivileged user in namespaces
that have no block device, and only after it was tried that none can be opened.
"""
