#!/usr/bin/env python3
"""A gRPC service behind the gate: grpcio on both sides, all four kinds of calls, statuses, trailers, many calls at once."""

import os
import queue
import sys
from concurrent import futures

import grpc
from gate import Checks, Gate, Place, free_port, section

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "labs.clinic.example"
SOON = 20  # seconds that a call may take


def main():
    checks = Checks("grpc")
    with Place() as place:
        port = free_port()
        gate = Gate(place, f"{HERE}/grpc", port, HOST)
        place.serve("server", port, [sys.executable, f"{HERE}/grpc/server.py", str(port)])
        gate.run()
        with open(gate.ca, "rb") as ca:
            trust = grpc.ssl_channel_credentials(ca.read())
        options = (("grpc.ssl_target_name_override", HOST), ("grpc.default_authority", HOST))
        with grpc.secure_channel(f"127.0.0.1:{gate.port}", trust, options) as channel:
            drive(checks, gate, Labs(channel))
    return checks.end()


class Labs:
    """The service's four methods, and one that nobody has."""

    def __init__(self, channel):
        self.get = channel.unary_unary("/clinic.v1.Labs/Get")
        self.watch = channel.unary_stream("/clinic.v1.Labs/Watch")
        self.send = channel.stream_unary("/clinic.v1.Labs/Send")
        self.talk = channel.stream_stream("/clinic.v1.Labs/Talk")
        self.other = channel.unary_unary("/clinic.v1.Labs/Other")


def status_of(call):
    try:
        call()
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def drive(checks, gate, labs):
    provider = gate.token("ada", org_id="north", roles=["provider"])
    desk = gate.token("bob", org_id="north", roles=["front_desk"])
    nobody = gate.token("eve", org_id="north", roles=["cleaner"])

    def by(token, *more):
        return {"metadata": (("authorization", f"Bearer {token}"), *more), "timeout": SOON}

    section("the four kinds of calls")
    answer, call = labs.get.with_call(b"x-7", **by(provider, ("x-tenant-id", "evil")))
    checks.that("one question, one answer", answer == b"result of x-7", answer)
    trailers = dict(call.trailing_metadata())
    checks.that("the service knows the tenant of the token", trailers.get("x-seen-tenant") == "north", trailers)
    checks.that("binary trailers pass", trailers.get("x-seen-bin") == b"\x00\xff", trailers)
    watched = list(labs.watch(b"500", **by(desk)))
    checks.that("one question, many answers", watched == [b"%d" % number for number in range(500)], len(watched))
    sent = labs.send(iter([b"x" * 50_000] * 40), **by(provider))
    checks.that("many questions, one answer", sent == b"2000000", sent)
    said = queue.Queue()
    talk = labs.talk(iter(said.get, None), **by(provider))
    turns = []
    for number in range(200):
        said.put(b"%d" % number)
        turns.append(next(talk))
    said.put(None)
    checks.that("each answer is here before the next question", turns == [b"re: %d" % number for number in range(200)])
    checks.that("a call both ways ends well", list(talk) == [] and talk.code() == grpc.StatusCode.OK, talk.code())

    section("statuses")
    try:
        labs.get(b"missing", **by(provider))
        checks.that("the service's own status passes", False)
    except grpc.RpcError as error:
        checks.that("the service's own status passes", error.code() == grpc.StatusCode.NOT_FOUND, error.code())
        checks.that("and its message", error.details() == "no such result: \u00e9", error.details())
    for what, expected, call in [
        ("no token", grpc.StatusCode.UNAUTHENTICATED, lambda: labs.get(b"x", timeout=SOON)),
        ("a token that is none", grpc.StatusCode.UNAUTHENTICATED, lambda: labs.get(b"x", **by("a.b.c"))),
        ("a role that may not", grpc.StatusCode.PERMISSION_DENIED, lambda: labs.get(b"x", **by(nobody))),
        ("a role that may only read", grpc.StatusCode.PERMISSION_DENIED, lambda: labs.send(iter([b"x"]), **by(desk))),
        ("a method that no route names", grpc.StatusCode.UNIMPLEMENTED, lambda: labs.other(b"x", **by(provider))),
    ]:
        got = status_of(call)
        checks.that(f"{what}: {expected.name}", got == expected, got)

    section("many at once")
    with futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda number: labs.get(b"%d" % number, **by(provider)), range(1000)))
    checks.that("1,000 calls, each with its own answer", answers == [b"result of %d" % one for one in range(1000)])
    cancelled = labs.watch(b"1000000", **by(provider))
    next(cancelled)
    cancelled.cancel()
    checks.that("a call that was cancelled leaves the others alone", labs.get(b"y", **by(provider)) == b"result of y")
    events = [event for event in gate.record() if event.get("rule") == "get" and event.get("decision") == "allow"]
    checks.that("every call stands in the record", len(events) >= 1002, len(events))


if __name__ == "__main__":
    sys.exit(main())
