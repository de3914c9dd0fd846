"""Billet with the real Keystone (``python3 -m tests.keystone``)."""
