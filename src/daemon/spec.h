/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec - what a sandbox was asked to be: fixed when it is created, kept in the
 * store as JSON, the same JSON that the API takes and shows. spec_read() checks
 * the shape of hostile input, spec_check() whether this host can do it.
 */
#ifndef DAEMON_SPEC_H
#define DAEMON_SPEC_H

#include "daemon/fields.h"
#include "daemon/host.h"

#include "base/paths.h"
#include "wire/birth.h"

#define SPEC_CPUS_MAX 64u
#define SPEC_MEMORY_MIN (128 * MIB)
#define SPEC_MEMORY_MAX (1024 * GIB)
#define SPEC_DISK_MIN (64 * MIB)
#define SPEC_DISK_MAX (16 * 1024 * GIB - 4 * GIB) /* ext4's files end there */
#define SPEC_PIDS_MIN 32u
#define SPEC_PIDS_MAX 4194304u
#define SPEC_PIDS_DEFAULT 4096u
#define SPEC_TIMEOUT_MIN 1000u
#define SPEC_TIMEOUT_MAX (366ull * 24 * 3600 * 1000)
#define SPEC_ENV_MAX 256u
#define SPEC_ENV_BYTES (32u * 1024u)
#define SPEC_WORKDIR "/home/agent/workspace"

struct workspace {
	char *host;
	char *guest;
	bool read_only;
};

#define SPEC_RATE_MIN (1 * KIB)
#define SPEC_RATE_MAX (1024 * GIB)
#define SPEC_QUOTA_MAX (1024 * 1024 * GIB)
#define SPEC_PORTS_MAX 32u

/* A port of the guest that the host listens for. */
struct publish {
	char address[46];   /* "": 127.0.0.1 and ::1 */
	uint16_t host_port; /* 0: any that is free */
	uint16_t port;      /* of the guest */
	uint16_t last;      /* host port that was used last; 0 */
	bool udp;
};

struct spec {
	char *name; /* NULL: to be chosen */
	char *template;
	char *engine; /* "auto", "kvm", "qemu" */
	struct workspace *workspaces;
	size_t n_workspaces;
	uint32_t cpus;
	uint32_t pids;
	uint64_t memory;
	uint64_t disk;
	uint64_t docker_disk;
	uint64_t timeout_ms; /* 0 = none */
	uint64_t rate_up;    /* of the network, bytes a second; 0 = none */
	uint64_t rate_down;
	uint64_t quota;  /* bytes both ways; 0 = none */
	bool ask;        /* what no rule speaks of waits for the person */
	char *ssh_agent; /* the socket on the host; NULL or "": none */
	struct publish *publish;
	size_t n_publish;
	bool remove;
	json_t *env; /* object of strings */
};

/* Reads the shape; what is missing gets the default of this host. */
int spec_read(
	json_t *j, const struct host *host, struct spec *ret, struct err *err);
/* -ERANGE with the possible range, -ENOENT or -EINVAL for paths. */
int spec_check(const struct spec *s, const struct host *host,
	const struct paths *paths, struct err *err);
void spec_done(struct spec *s);
json_t *spec_json(const struct spec *s);
/* Heap string: the first workspace, or the directory of that file. */
char *spec_workdir(const struct spec *s);
/* An O_PATH descriptor and AMF_* flags of a workspace; the caller closes. */
int workspace_open(const struct workspace *w, int *ret_fd, uint32_t *ret_flags,
	struct err *err);

#endif
