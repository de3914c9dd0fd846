"""Every command of the cloud's families (users, images, networks, servers …) that today's ``openstack`` has, given at least once to a
``billet serve`` with users of its own and fake machines. Run: ``python3 -m tests.cloud``; ``--write-docs`` renews ``docs/CLIENTS.md``.
"""
