"""Prometheus' text format, as hotspan and the Collector write it."""

import re
import urllib.request

_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def fetched(address):
    """What `http://ADDRESS/metrics` says now. Raises `OSError` when nobody answers."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as response:
        return parsed(response.read().decode())


def parsed(text):
    """Samples as `(name, labels, value)`."""
    samples = []
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match:
            name, labels, value = match.groups()
            samples.append((name, dict(_LABEL.findall(labels or "")), float(value)))
    return samples


def total(samples, name, **labels):
    """The sum over the samples of this name that have these labels; 0 where there are none, as of a new counter."""
    wanted = labels.items()
    return sum(value for other, having, value in samples if other == name and wanted <= having.items())
