"""Serves Keystone over TLS on loopback, in one process of threads, until it is ended. Runs in the virtual environment that has Keystone.

Arguments: configuration file, certificate, key, port. Says `ready` on stdout once it listens.
"""

import os
import socketserver
import ssl
import sys
from wsgiref import simple_server

config, certificate, key, port = sys.argv[1:]
os.environ["OS_KEYSTONE_CONFIG_FILES"] = config

from keystone.server import wsgi  # noqa: E402  (reads the environment)


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, *_):
        pass


sys.argv = sys.argv[:1]
application = wsgi.initialize_public_application()
with simple_server.make_server("127.0.0.1", int(port), application, Server, Handler) as server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", flush=True)
    server.serve_forever()
