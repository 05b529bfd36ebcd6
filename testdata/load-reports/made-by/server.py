"""What the load generators were pointed at: answers on a free port of 127.0.0.1 for so many seconds, and prints the port."""

import http.server
import sys
import threading
import time


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/events":
            return self.events()
        time.sleep(0.12 if self.path == "/slow" else 0.02)
        self.send_response({"/fail": 500, "/missing": 404}.get(self.path, 200))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def events(self):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for number in range(12):
                time.sleep(0.2)
                self.wfile.write(b"data: %d\n\n" % number)
        except OSError:
            pass

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
print(server.server_address[1], flush=True)
threading.Timer(float(sys.argv[1]), server.shutdown).start()
server.serve_forever()
