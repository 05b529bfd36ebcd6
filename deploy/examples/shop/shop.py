"""Two services of a small shop, without a line about OpenTelemetry: `opentelemetry-instrument` does that from outside.

`shop.py gateway` takes orders over HTTP and asks `shop.py inventory`, which keeps the stock in SQLite behind one
lock. Under load the lock is the bottleneck, and hotspan's page names it: the self time of `inventory` before its SQL.
"""

import os
import sqlite3
import sys
import threading
import time

import requests
from flask import Flask, jsonify

PORT = int(os.environ.get("PORT", "8080"))
INVENTORY_URL = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8081")
ITEMS = ("book", "lamp", "chair")


def gateway():
    app = Flask("gateway")

    @app.post("/orders/<item>")
    def order(item):
        answer = requests.post(f"{INVENTORY_URL}/stock/{item}/reserve", timeout=10)
        if answer.status_code == 404:
            return jsonify(error=f"no item {item!r}"), 404
        answer.raise_for_status()
        return jsonify(answer.json()), 201

    @app.get("/items")
    def items():
        return jsonify(requests.get(f"{INVENTORY_URL}/stock", timeout=10).json())

    return app


def inventory():
    app = Flask("inventory")
    lock = threading.Lock()
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("CREATE TABLE stock (item TEXT PRIMARY KEY, count INTEGER NOT NULL)")
    database.executemany("INSERT INTO stock VALUES (?, 0)", [(item,) for item in ITEMS])

    @app.get("/stock")
    def stock():
        with lock:
            return jsonify(dict(database.cursor().execute("SELECT item, count FROM stock").fetchall()))

    @app.post("/stock/<item>/reserve")
    def reserve(item):
        with lock:
            time.sleep(0.005)
            cursor = database.cursor()
            cursor.execute("UPDATE stock SET count = count - 1 WHERE item = ?", (item,))
            if cursor.rowcount == 0:
                return jsonify(error="unknown item"), 404
            (count,) = cursor.execute("SELECT count FROM stock WHERE item = ?", (item,)).fetchone()
        return jsonify(item=item, count=count)

    return app


if __name__ == "__main__":
    services = {"gateway": gateway, "inventory": inventory}
    services[sys.argv[1]]().run("0.0.0.0", PORT, threaded=True)
