"""A gRPC service by grpcio, with messages of plain bytes. Usage: server.py PORT"""

import sys
from concurrent import futures

import grpc


def told(context):
    """Says in the trailers what the gate has told of the caller."""
    sent = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-seen-tenant", sent.get("x-tenant-id", "-")), ("x-seen-bin", b"\x00\xff")))


def get(message, context):
    told(context)
    if message == b"missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such result: \u00e9")
    return b"result of " + message


def watch(message, context):
    told(context)
    for number in range(int(message)):
        yield b"%d" % number


def send(messages, context):
    told(context)
    return b"%d" % sum(len(message) for message in messages)


def talk(messages, context):
    told(context)
    for message in messages:
        yield b"re: " + message


def main(port):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("clinic.v1.Labs", {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
        "Send": grpc.stream_unary_rpc_method_handler(send),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
    }),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


main(int(sys.argv[1]))
