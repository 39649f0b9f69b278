"""Clients that ask all the time, over connections that last and over new ones, by way of a balancer that goes by readiness.

A request that fails is never sent again: what the caller of a clinic would see counts.
"""

import http.client
import random
import socket
import ssl
import threading
import time


class Balancer:
    """Which pods get new connections: those that were ready `delay` seconds ago, as the rules of a node would have it."""

    def __init__(self, delay=1.0):
        self.pods, self.delay = [], delay

    def choose(self):
        takers = [pod for pod in list(self.pods) if pod.takes_traffic(self.delay)]
        return random.choice(takers) if takers else None


class Load:
    """`clients` threads, half of which open a connection for each request."""

    def __init__(self, balancer, host, ca, requests, clients=8, pause=0.01):
        self.balancer, self.host, self.requests, self.pause = balancer, host, requests, pause
        self.context = ssl.create_default_context(cafile=ca)
        self.times, self.failed, self.served, self.ending = [], [], {}, threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, args=(number % 2 == 0,), daemon=True) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def connect(self, pod):
        connection = http.client.HTTPSConnection(self.host, 8443, timeout=10)
        raw = socket.create_connection((pod.ip, 8443), 10)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self.context.wrap_socket(raw, server_hostname=self.host)
        return connection

    def client(self, lasting):
        connection, pod = None, None
        while not self.ending.is_set():
            method, path, headers, body, status = random.choice(self.requests)
            began = time.monotonic()
            try:
                if connection is None:
                    pod = self.balancer.choose()
                    if pod is None:
                        raise ConnectionError("no pod takes traffic")
                    connection = self.connect(pod)
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                fault = None if answer.status == status else f"{method} {path}: {answer.status} {text[:200]!r}"
                last = answer.will_close
            except (OSError, http.client.HTTPException) as error:
                fault, last = f"{method} {path}: {type(error).__name__} {error} by {pod and pod.name}", True
            with self.lock:
                self.times.append(time.monotonic() - began)
                if fault:
                    self.failed.append((time.monotonic(), fault))
                elif pod:
                    self.served[pod.name] = self.served.get(pod.name, 0) + 1
            if connection is not None and (last or not lasting):
                connection.close()
                connection = None
            self.ending.wait(self.pause)

    def percentile(self, part):
        """In milliseconds."""
        times = sorted(self.times)
        return times[min(len(times) - 1, int(len(times) * part))] * 1000 if times else 0.0

    def said(self):
        return f"{len(self.times)} requests, {len(self.failed)} failed, p50 {self.percentile(0.5):.1f} ms, p99 {self.percentile(0.99):.1f} ms"
