"""Gives every command of the cloud's families to the real ``openstack`` client, against a site of its own (``python3 -m tests.cloud``)."""
