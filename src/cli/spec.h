/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec - what run and create ask for: their common options, and the operands
 * "[TEMPLATE] [PATH[:ro]...]" as one struct, checked as far as the person's
 * side can be (coved checks everything again). The spec owns its paths and
 * borrows strings from argv.
 */
#ifndef CLI_SPEC_H
#define CLI_SPEC_H

#include "base/opt.h"
#include "cli/workspace.h"
#include <jansson.h>

#define SPEC_TEMPLATE "shell"

/* Options of run; create has those that say what the sandbox is. */
struct run_opts {
	bool help;
	const char *name;
	const char *template;
	const char *engine;
	uint32_t cpus;
	uint32_t pids;
	uint64_t memory;
	uint64_t disk;
	uint64_t docker_disk;
	uint64_t timeout_ms;
	struct opt_strs env;
	struct opt_strs mounts;
	struct opt_strs publish;
	const char *net_rate;
	uint64_t net_quota;
	bool ask;
	bool ssh_agent;
	bool json;
	bool quiet;
	/* run only */
	bool remove;
	bool detach;
	bool tty;
	bool interactive;
	const char *workdir;
	const char *user;
	const char *entrypoint;
	const char *detach_keys;
};

#define SPEC_SIZE_MAX (1ull << 50)
#define SPEC_TIME_MAX (365ull * 24 * 3600 * 1000)

#define SPEC_OPT(name, letter, type, field, arg, help, lo, hi, words)      \
	{                                                                  \
		name, letter, type, offsetof(struct run_opts, field), arg, \
			help, lo, hi, words                                \
	}

/* Rows of the option table that both commands have. */
#define SPEC_OPTIONS                                                          \
	SPEC_OPT("name", 'n', OPT_STR, name, "NAME",                          \
		"name of the sandbox; default TEMPLATE-DIRECTORY", 0, 0,      \
		"sandbox"),                                                   \
		SPEC_OPT("template", 'T', OPT_STR, template, "NAME",          \
			"the template; a TEMPLATE that may look like a path", \
			0, 0, NULL),                                          \
		SPEC_OPT("env", 'e', OPT_STRS, env, "K=V",                    \
			"set a variable inside; K alone copies the caller's", \
			0, 0, NULL),                                          \
		SPEC_OPT("mount", 'v', OPT_STRS, mounts, "HOST:GUEST[:ro]",   \
			"share HOST as GUEST; :ro forbids writing", 0, 0,     \
			"dir"),                                               \
		SPEC_OPT("cpus", 0, OPT_U32, cpus, "N",                       \
			"virtual CPUs; default half of the host's", 1, 0,     \
			NULL),                                                \
		SPEC_OPT("memory", 'm', OPT_SIZE, memory, "SIZE",             \
			"memory; default a quarter of the host's, up to 8g",  \
			1, SPEC_SIZE_MAX, NULL),                              \
		SPEC_OPT("disk", 0, OPT_SIZE, disk, "SIZE",                   \
			"largest size of its file system; default 20g", 1,    \
			SPEC_SIZE_MAX, NULL),                                 \
		SPEC_OPT("docker-disk", 0, OPT_SIZE, docker_disk, "SIZE",     \
			"largest size of its Docker store; default 10g", 1,   \
			SPEC_SIZE_MAX, NULL),                                 \
		SPEC_OPT("pids", 0, OPT_U32, pids, "N",                       \
			"most processes that may exist at once", 1, 0, NULL), \
		SPEC_OPT("timeout", 0, OPT_DURATION, timeout_ms, "DURATION",  \
			"stop the sandbox after this time: 90s, 10m, 2h", 1,  \
			SPEC_TIME_MAX, NULL),                                 \
		SPEC_OPT("publish", 'p', OPT_STRS, publish,                   \
			"[[ADDR:]HOST:]PORT",                                 \
			"let this host reach PORT of the sandbox", 0, 0,      \
			NULL),                                                \
		SPEC_OPT("net-rate", 0, OPT_STR, net_rate, "UP[/DOWN]",       \
			"network speed a second: 500k, 10m/50m, 8mbit", 0, 0, \
			NULL),                                                \
		SPEC_OPT("net-quota", 0, OPT_SIZE, net_quota, "SIZE",         \
			"most bytes it may send and receive, together", 1,    \
			SPEC_SIZE_MAX, NULL),                                 \
		SPEC_OPT("ask", 0, OPT_FLAG, ask, NULL,                       \
			"ask me about what no rule speaks of", 0, 0, NULL),   \
		SPEC_OPT("ssh-agent", 0, OPT_FLAG, ssh_agent, NULL,           \
			"let it sign with the keys of my SSH agent", 0, 0,    \
			NULL),                                                \
		SPEC_OPT("engine", 0, OPT_STR, engine, "ENGINE",              \
			"auto, kvm or qemu; default auto", 0, 0,              \
			"auto kvm qemu"),                                     \
		SPEC_OPT("quiet", 'q', OPT_FLAG, quiet, NULL,                 \
			"show no progress", 0, 0, NULL)

struct spec {
	const char *template;     /* NULL: not named */
	struct workspace *places; /* workspaces first, then mounts */
	size_t n_places;
	size_t n_paths; /* of them named as PATH (or the current directory) */
	bool implicit;  /* no PATH: the current directory, if it can be */
	enum workspace_cwd cwd; /* with implicit: what became of it */
	char **env;             /* K=V; owned */
	size_t n_env;
	json_t *publish; /* as the API has them; owned */
	uint64_t net_up, net_down;
	char **argv; /* the command, borrowed */
	int argc;
};

/*
 * own: without a PATH the current directory is shared, unless it meets one of
 * these (run); NULL: it is not (create). 0, -EUSAGE for a word that cannot be
 * understood, other -errno for a refusal.
 */
int spec_parse(const struct run_opts *opts, int argc, char **argv, int dashdash,
	const char *const *own, struct spec *ret, struct err *err);
void spec_done(struct spec *s);
/* The body of POST /v1/sandboxes; name may be NULL. A new reference. */
json_t *spec_json(
	const struct spec *s, const struct run_opts *opts, const char *name);
/*
 * Whether the sandbox (as coved shows it) is what opts and spec ask for: -EEXIST
 * with text names the first difference in what cannot change any more.
 */
int spec_match(const struct spec *s, const struct run_opts *opts,
	const json_t *sandbox, struct err *err);

/* "K=V", or "K" taken from the environment, as "K=V". Heap; -EUSAGE. */
int env_parse(const char *arg, char **ret, struct err *err);
/* All of strs, as env_parse does; the array and its strings are the caller's. */
int env_parse_all(const struct opt_strs *strs, char ***ret, size_t *ret_n,
	struct err *err);
void env_free(char **env, size_t n);

#endif
