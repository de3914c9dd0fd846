"""The same requests to Ironic and to Billet, and what differs between their answers."""
