#!/usr/bin/env python3
"""A web server for a pod: answers every GET with TEXT, over IPv4 and IPv6.

Usage: web_server.py PORT TEXT
"""

import http.server
import socket
import socketserver
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (sys.argv[2] + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # HTTPServer's own asks a name server who we are, and a pod of the lab has none.
        socketserver.TCPServer.server_bind(self)


Server(("::", int(sys.argv[1])), Handler).serve_forever()
