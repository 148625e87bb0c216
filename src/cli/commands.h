/* SPDX-License-Identifier: Apache-2.0 */
/* commands - where the commands are defined: one file each, cmd_<name>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"
#include <jansson.h>

/* DOCKER_HOST of a sandbox as the API shows it; heap. cmd_docker.c. */
int docker_host(const json_t *sb, char **ret, struct err *err);

extern const struct command cmd_run;
extern const struct command cmd_create;
extern const struct command cmd_exec;
extern const struct command cmd_ls;
extern const struct command cmd_inspect;
extern const struct command cmd_logs;
extern const struct command cmd_stop;
extern const struct command cmd_start;
extern const struct command cmd_rm;
extern const struct command cmd_prune;
extern const struct command cmd_cp;
extern const struct command cmd_docker;
extern const struct command cmd_docker_env;
extern const struct command cmd_policy;
extern const struct command cmd_ports;
extern const struct command cmd_secret;
extern const struct command cmd_template;
extern const struct command cmd_doctor;
extern const struct command cmd_daemon;
extern const struct command cmd_version;
extern const struct command cmd_help;
extern const struct command cmd_completion;

#endif
