/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm - opens one connection after the other, so many at once, each of which
 * must bring one byte and the end. Runs in a guest (tests/e2e/gate_storm.sh).
 * usage: storm HOST PORT CONNECTIONS AT-ONCE
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS 4096

static struct addrinfo *to;
static unsigned begun, ended, wrong;
static unsigned char got[FDS]; /* bytes, by descriptor */
static int ep;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void begin(void)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || fd >= FDS)
		die("socket");
	e.data.fd = fd;
	got[fd] = 0;
	begun++;
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0 &&
		errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

/* True when it is over. */
static bool take(int fd)
{
	char b[8];
	ssize_t n = read(fd, b, sizeof(b));

	if (n > 0)
		got[fd] += (unsigned char)n;
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return false;
	if (n < 0 || got[fd] != 1)
		wrong++;
	ended++;
	close(fd);
	return true;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {
		.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct epoll_event events[64];
	unsigned want, at_once;
	double start;

	if (argc != 5 || getaddrinfo(argv[1], argv[2], &hints, &to))
		die("usage: storm HOST PORT CONNECTIONS AT-ONCE");
	want = (unsigned)strtoul(argv[3], NULL, 10);
	at_once = (unsigned)strtoul(argv[4], NULL, 10);
	ep = epoll_create1(0);
	start = now();
	while (begun < want && begun < at_once)
		begin();
	while (ended < want) {
		int n = epoll_wait(ep, events, 64, 60000);

		if (n <= 0)
			die("nothing happens");
		for (int i = 0; i < n; i++)
			if (take(events[i].data.fd) && begun < want)
				begin();
	}
	printf("%u connections, %u wrong, %.0f a second\n", ended, wrong,
		ended / (now() - start));
	return wrong != 0;
}
