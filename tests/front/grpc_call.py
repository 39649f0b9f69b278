#!/usr/bin/env python3
"""Calls the gRPC service of tests/apps/grpc through a front. Usage: grpc_call.py PORT CA HOST TOKEN"""

import queue
import sys

import grpc


def main(port, ca, host, token):
    with open(ca, "rb") as file:
        trust = grpc.ssl_channel_credentials(file.read())
    options = (("grpc.ssl_target_name_override", host), ("grpc.default_authority", host))
    by = {"metadata": (("authorization", f"Bearer {token}"),), "timeout": 10}
    with grpc.secure_channel(f"127.0.0.1:{port}", trust, options) as channel:
        answer, call = channel.unary_unary("/clinic.v1.Labs/Get").with_call(b"x-7", **by)
        assert answer == b"result of x-7", answer
        trailers = dict(call.trailing_metadata())
        assert (trailers.get("x-seen-tenant"), trailers.get("x-seen-bin")) == ("a", b"\x00\xff"), trailers
        said = queue.Queue()
        talk = channel.stream_stream("/clinic.v1.Labs/Talk")(iter(said.get, None), **by)
        for number in range(20):
            said.put(b"%d" % number)
            assert next(talk) == b"re: %d" % number
        said.put(None)
        assert list(talk) == [] and talk.code() == grpc.StatusCode.OK, talk.code()
        try:
            channel.unary_unary("/clinic.v1.Labs/Get")(b"x", timeout=10)
            raise AssertionError("a call without a token passed")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error


if __name__ == "__main__":
    main(*sys.argv[1:])
