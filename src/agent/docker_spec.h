/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_spec - what a container is told to be (config.json of the OCI runtime
 * specification, section "Configuration"; and the process of an exec), changed
 * in two places so that it trusts the hosts that the gate opens: a certificate
 * bundle is mounted below its /dev, where it becomes part of no image, and
 * variables name it. The text comes from dockerd or BuildKit and holds strings
 * of images: bounded, scanned and not otherwise understood; what does not look
 * as expected stays as it is. Pure but for docker_runc().
 */
#ifndef AGENT_DOCKER_SPEC_H
#define AGENT_DOCKER_SPEC_H

#include "base/buf.h"

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

/*
 * The program "runc" of a sandbox: changes the specification that its arguments
 * name, then becomes the real runc, whatever came of it.
 */
_Noreturn void docker_runc(int argc, char **argv);

#endif
