# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Servers of the host for tests of the network, on ports that nobody else has;
# sourced after lib.sh.

# What a server printed when it was listening: its port.
port_in() { # file
	wait_for 120 grep -q . "$1"
	cat "$1"
}

# Serves a directory on loopback; sets server (its pid) and port.
serve_dir() { # directory
	python3 - "$1" >"$T/port" 2>/dev/null <<-'X' &
	import functools, http.server, sys
	handler = functools.partial(http.server.SimpleHTTPRequestHandler,
	                            directory=sys.argv[1])
	s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
	print(s.server_address[1], flush=True)
	s.serve_forever()
	X
	# shellcheck disable=SC2034 # for the test that sources this
	server=$!
	# shellcheck disable=SC2034
	port=$(port_in "$T/port")
}

# The first of so many ports in a row that are free for TCP and UDP in both
# families. Below those that the kernel gives to whoever asks for any.
free_ports() { # how many
	python3 - "$1" <<-'X'
	import random, socket, sys
	n = int(sys.argv[1])
	with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
	    low = int(f.read().split()[0])
	top = low if low > 12000 else 65536

	def free(port):
	    for family in socket.AF_INET, socket.AF_INET6:
	        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
	            with socket.socket(family, kind) as s:
	                if family == socket.AF_INET6:
	                    s.setsockopt(socket.IPPROTO_IPV6,
	                                 socket.IPV6_V6ONLY, 1)
	                try:
	                    s.bind(("", port))
	                except OSError:
	                    return False
	    return True

	while True:
	    first = random.randrange(10000, top - n)
	    if all(free(first + i) for i in range(n)):
	        print(first)
	        break
	X
}
