/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox - one sandbox and its life:
 *
 *   creating -> starting -> running <-> unresponsive
 *       |           |          |             |
 *       |           v          v             v
 *       +------> failed <--- stopping --> stopped --> (starting)
 *
 * Every change is in the store before it has an effect outside. A sandbox that
 * never was ready ("fresh") is removed when it fails: a failed create leaves
 * nothing behind. Owned by the daemon's list; freed by the loop after
 * sandbox_remove(). Loop thread only. What the guest says about itself is
 * hostile and never leaves its own sandbox.
 *
 * Files: sandbox.c object and store, prepare.c template, kernel and disks,
 * boot.c engine and watchdog, control.c the guest's control stream.
 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "daemon/cache.h"
#include "daemon/daemon.h"
#include "daemon/job.h"
#include "daemon/spec.h"

#define STOP_TIMEOUT_MS 10000u /* until SIGKILL inside */
#define STOP_TIMEOUT_MAX_MS (24u * 3600u * 1000u)
#define STOP_GRACE_MS 15000u /* sync and power off before the engine is ended */
#define LINGER_MS 10000u     /* for the first exec of a --rm sandbox */
#define DEVICES_MS 3000u     /* for a device server whose monitor has ended */

enum sandbox_state {
	SB_CREATING,
	SB_STARTING,
	SB_RUNNING,
	SB_PAUSED,
	SB_STOPPING,
	SB_STOPPED,
	SB_FAILED,
	SB_UNRESPONSIVE,
};

const char *state_name(enum sandbox_state s);
bool state_parse(const char *name, enum sandbox_state *ret);

struct sandbox;
enum sandbox_note {
	NOTE_STATE,    /* sb->state changed */
	NOTE_PROGRESS, /* sb->progress changed */
	NOTE_EVENT,    /* sb->last_event was recorded */
	NOTE_REMOVED,  /* the last note; sb is still readable */
};

/*
 * Embedded in whoever waits for something. fn may leave and may answer its
 * client, but changes no sandbox: it defers that, so that notes never nest.
 */
struct observer {
	struct list link;
	void (*fn)(
		struct observer *o, struct sandbox *sb, enum sandbox_note note);
};

struct control;
struct docker;
struct gate;
struct ports;
struct ssh;
struct asks;

struct sandbox {
	struct list link;
	struct list creator; /* on the connection that made it, spec.remove */
	struct daemon *d;
	struct row row; /* what the store holds */
	struct spec spec;
	struct template template; /* digest NULL until it is known */
	enum sandbox_state state;
	struct err err; /* why it failed, with its errno */
	struct list observers;
	struct progress progress;
	struct event last_event; /* strings valid during NOTE_EVENT */

	struct job_watcher job; /* a template, kernel or disk is being made */
	bool job_optional;      /* its failure does not matter */
	unsigned prepare_rounds;

	struct engine engine;
	struct watch ended[ENGINE_N_ROLES];
	struct watch ctl_listen; /* vsock.sock_1024; fd -1 */
	struct control *ctl;     /* NULL: no guest is talking */
	struct gate *gate;       /* NULL: it has no network */
	struct docker *docker;   /* its socket on the host */
	struct ssh *ssh;         /* NULL: no SSH agent; see ssh.h */
	struct ports *ports;     /* NULL: not read yet; see ports.h */
	struct asks *asks;       /* NULL: nothing was asked; see ask.h */
	struct proc_id gate_id;  /* of an earlier coved, to be adopted */
	struct timer boot;       /* watchdog until the guest is ready */
	struct timer life;       /* --timeout */
	struct timer stop;       /* until the engine is ended */
	struct timer linger;     /* --rm whose client went away */
	struct timer devices;    /* until the monitor's other half is ended */
	uint64_t boot_begin_ms;
	uint64_t boot_cpu_ms;    /* at the last look */
	uint64_t boot_cpu_at_ms; /* when it last grew */
	bool boot_retried;
	bool boot_again;  /* the engine was ended to try once more */
	bool powered_off; /* the guest said that it goes down in order */
	bool removing;    /* remove it once the engine is gone */
	bool had_exec;
	unsigned n_execs;
	char why_ended[240];   /* how the engine's processes ended */
	unsigned event_tokens; /* a guest cannot fill the store with events */
	uint64_t event_ms;
	struct task free_task;
};

/* Registry. name_or_id: exact. */
struct sandbox *sandbox_find(const struct daemon *d, const char *name_or_id);
struct sandbox *sandbox_find_name(const struct daemon *d, const char *name);

/*
 * Records a new sandbox and begins to prepare and start it; takes the spec
 * over (also on failure). Progress and the end come through observers.
 */
int sandbox_create(struct daemon *d, struct spec *spec, struct sandbox **ret,
	struct err *err);
/* From a row of the store, as it is; the caller decides what is true now. */
struct sandbox *sandbox_load(
	struct daemon *d, struct row *row, struct err *err);
/* Frees the object only: coved goes, the sandbox stays. */
void sandbox_free(struct sandbox *sb);

void sandbox_observe(struct sandbox *sb, struct observer *o);
void sandbox_leave(struct observer *o);

/* stopped or failed -> starting. Conflict otherwise. */
int sandbox_start(struct sandbox *sb, struct err *err);
/* Asks the guest to power off; the engine is ended when it does not. */
int sandbox_stop(struct sandbox *sb, uint64_t timeout_ms, struct err *err);
/* Ends what runs, frees all disk, forgets it. */
void sandbox_remove(struct sandbox *sb);
/* A record for inspect and logs; type is a word, text may be hostile. */
void sandbox_event(struct sandbox *sb, const char *type, const char *text);
/* The guest's own events: a few a minute. */
void sandbox_guest_event(
	struct sandbox *sb, const char *type, const char *text);
void sandbox_exec_begin(struct sandbox *sb);
void sandbox_exec_end(struct sandbox *sb);
/* The client that created it went away (spec.remove). */
void sandbox_orphaned(struct sandbox *sb);

/* The template, read once it is known; NULL while it is not. */
const struct template *sandbox_template(struct sandbox *sb);
/* Heap string: the first workspace, else what the template says. */
char *sandbox_workdir(struct sandbox *sb);

/* Between the files of the sandbox. */
int sandbox_set_state(struct sandbox *sb, enum sandbox_state state,
	const char *reason, struct err *err);
int sandbox_save(struct sandbox *sb, struct err *err);
/* The little of its spec that may change. */
int sandbox_save_spec(struct sandbox *sb, struct err *err);
/* Adds the console's last lines to a text about the engine. */
void sandbox_add_console(struct sandbox *sb, struct err *err);
void sandbox_notify(struct sandbox *sb, enum sandbox_note note);
/* Failed: the reason is kept; what never was ready is removed. */
void sandbox_fail(struct sandbox *sb, const struct err *err);
void sandbox_progress(struct sandbox *sb, const char *step, const char *text);
void sandbox_prepare(struct sandbox *sb);
void sandbox_boot(struct sandbox *sb);
void sandbox_ready(struct sandbox *sb); /* from control: READY arrived */
void sandbox_watch_life(struct sandbox *sb);
int sandbox_watch_engine(struct sandbox *sb, struct err *err);
int sandbox_listen(struct sandbox *sb, struct err *err);
void sandbox_end_engine(struct sandbox *sb); /* SIGKILL, then engine gone */
/* The engine is gone and recorded as gone: complete what was under way. */
void sandbox_engine_gone(struct sandbox *sb);
void sandbox_finish_remove(struct sandbox *sb);
char *sandbox_run_dir(const struct sandbox *sb);
char *sandbox_dir(const struct sandbox *sb);
/*
 * The directory of sb, or without one the daemon's own of that name below the
 * state directory, made if need be. The descriptor is the caller's. 0 or
 * -errno with text.
 */
int daemon_open_dir(struct daemon *d, const char *name,
	const struct sandbox *sb, int *ret, struct err *err);
/* Removes a directory tree below our own directories; missing is fine. */
int remove_tree(const char *path, struct err *err);

#endif
