/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_spec - what a container is told to be (config.json of the OCI runtime
 * specification, section "Configuration"; and the process of an exec), changed
 * in two places so that it trusts the hosts that the gate opens: a certificate
 * bundle is mounted below its /dev, where it becomes part of no image, and
 * variables name it. The text comes from dockerd or BuildKit and holds strings
 * of images: bounded, scanned and not otherwise understood; what does not look
 * as expected stays as it is. Pure but for docker_runc() and docker_setkey().
 *
 * And dockerd has itself started anew before each container that has a network,
 * by a hook, to tell it one thing: for 60 MiB of Go that is a fifth of what a
 * `docker run` takes. So the hook names our own program, which says the same.
 */
#ifndef AGENT_DOCKER_SPEC_H
#define AGENT_DOCKER_SPEC_H

#include "base/buf.h"
#include <sys/types.h>

/* In a container. */
#define DOCKER_TRUST "/dev/cove-ca.crt"
#define DOCKER_SPEC_MAX (4u * 1024u * 1024u)

/*
 * With source the whole config.json: variables and the mount of source; else
 * the process of an exec: variables. 1: *out has the new text; 0: there is
 * nothing to change or no place for it; -EBADMSG.
 */
int docker_spec_edit(const char *json, const char *source, struct buf *out);
/* root.path of a config.json; heap, NULL when there is none. */
char *docker_spec_root(const char *json);

/* How dockerd calls itself in the hook, and what we call that. */
#define DOCKER_SETKEY "libnetwork-setkey"
#define DOCKER_OWN_SETKEY "docker-setkey"

/*
 * 1: *out has a text whose hook is our program, with dockerd's own path as the
 * first and dockerd's arguments as the further ones; 0: it has no such hook.
 */
int docker_spec_hook(const char *json, struct buf *out);
/* "pid" of a container's state (specification, section "State"); 0: none. */
pid_t docker_spec_pid(const char *json);

/*
 * The program "runc" of a sandbox: changes the specification that its arguments
 * name, then becomes the real runc, whatever came of it.
 */
_Noreturn void docker_runc(int argc, char **argv);
/* The hook; becomes dockerd's when it is called in a way that it does not know. */
_Noreturn void docker_setkey(int argc, char **argv);

#endif
