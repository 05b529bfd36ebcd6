"""A process that a test started, with a temporary folder of its own: both are gone when the test is over."""

import signal


class Child:
    """What has a `process` and a `folder`, to be used with `with`."""

    def stop(self, deadline=60):
        """SIGTERM; the exit code, which is 0 after a clean stop."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=deadline)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()
