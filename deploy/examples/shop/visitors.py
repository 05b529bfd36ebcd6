"""Visitors of the shop: two at a time, then eight, then two again, a minute each, for ever. Standard library only."""

import itertools
import random
import sys
import threading
import time
import urllib.error
import urllib.request

STAGE_S = 60
STAGES = (2, 8, 2)
ITEMS = ("book", "lamp", "chair", "unicorn")


def visit(url, until):
    while time.monotonic() < until:
        item = random.choices(ITEMS, weights=(60, 30, 9, 1))[0]
        request = urllib.request.Request(f"{url}/orders/{item}", method="POST")
        try:
            urllib.request.urlopen(request, timeout=15).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)


def main():
    url = sys.argv[1]
    for visitors in itertools.cycle(STAGES):
        until = time.monotonic() + STAGE_S
        threads = [threading.Thread(target=visit, args=(url, until)) for _ in range(visitors)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
