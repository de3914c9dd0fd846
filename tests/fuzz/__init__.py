"""Fuzzes a running ``billet serve``: schemathesis makes requests from /openapi.json at three microversions, and a corpus of hostile
requests is sent over raw sockets (``python3 -m tests.fuzz``). ``BILLET`` names the program, ``EXAMPLES`` how many requests each operation
gets at most.
"""
