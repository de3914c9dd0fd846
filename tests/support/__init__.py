"""What the suites beside the Rust tests share: a site to test, virtual environments, a tally.

Standard library only. A suite is a package beside this one, run as ``python3 -m tests.NAME`` from the top of the repository.
"""
