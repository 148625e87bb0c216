# SPDX-License-Identifier: Apache-2.0
"""gRPC as it comes from Debian, through a gate, for gate_h2.py."""
from concurrent import futures
import queue

import grpc

import gate_lib as lib
from gate_h2_lib import front

SERVER, FRONT = 8448, 9448


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        meta = dict(details.invocation_metadata)
        kinds = {
            "/t/Echo": grpc.unary_unary_rpc_method_handler(
                lambda r, c: r + b" " + meta.get("x-api-key", "").encode()),
            "/t/Fail": grpc.unary_unary_rpc_method_handler(
                lambda r, c: c.abort(grpc.StatusCode.NOT_FOUND, "no such")),
            "/t/Count": grpc.unary_stream_rpc_method_handler(
                lambda r, c: (b"%d" % i for i in range(int(r)))),
            "/t/Sum": grpc.stream_unary_rpc_method_handler(
                lambda it, c: b"%d" % sum(len(r) for r in it)),
            "/t/Talk": grpc.stream_stream_rpc_method_handler(
                lambda it, c: (r * 2 for r in it)),
        }
        return kinds.get(details.method)


def run(g, check, tmp, place, real):
    lib.certificate("world", "rpc.test")
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([Service()])
    server.add_secure_port(f"127.0.0.1:{SERVER}", grpc.ssl_server_credentials(
        [(lib.pem("rpc.test.key"), lib.pem("rpc.test.crt"))]))
    server.start()
    front(g, "rpc.test", SERVER, FRONT)
    ch = grpc.secure_channel(
        f"127.0.0.1:{FRONT}", grpc.ssl_channel_credentials(lib.pem("cove.crt")),
        [("grpc.ssl_target_name_override", "rpc.test"),
         ("grpc.default_authority", f"rpc.test:{SERVER}")])
    t = {"timeout": lib.PATIENCE}
    r = ch.unary_unary("/t/Echo")(b"hi", metadata=[("x-api-key", place)], **t)
    check("gRPC: a call, with the secret", r == b"hi " + real.encode(), r)
    try:
        r = ch.unary_unary("/t/Fail")(b"x", **t)
    except grpc.RpcError as e:
        r = (e.code(), e.details())
    check("gRPC: an error comes in the trailers",
          r == (grpc.StatusCode.NOT_FOUND, "no such"), r)
    r = list(ch.unary_stream("/t/Count")(b"500", **t))
    check("gRPC: a stream of answers", r == [b"%d" % i for i in range(500)])
    r = ch.stream_unary("/t/Sum")((b"y" * 50000 for _ in range(60)), **t)
    check("gRPC: a stream of requests", r == b"3000000", r)
    talk = ch.stream_stream("/t/Talk")
    turn = queue.Queue()
    turn.put(b"0")
    said = []
    for r in talk(iter(turn.get, None), **t):
        said.append(r)
        turn.put(b"%d" % len(said) if len(said) < 10 else None)
    check("gRPC: both talk at once", said == [b"%d" % i * 2 for i in range(10)],
          said)
    ch.close()
    server.stop(None)
