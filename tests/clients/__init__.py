"""Every command that ``openstack baremetal`` has, given at least once by the real client. Run: ``python3 -m tests.clients``."""
