/* SPDX-License-Identifier: Apache-2.0 */
#include "image/commands.h"

#define FLAG(n, l, field, h)                                          \
	{                                                             \
		.name = n, .letter = l, .type = OPT_FLAG,             \
		.offset = offsetof(struct job_opts, field), .help = h \
	}
#define STR(n, field, a, h, c)                                        \
	{                                                             \
		.name = n, .type = OPT_STR,                           \
		.offset = offsetof(struct job_opts, field), .arg = a, \
		.help = h, .complete = c                              \
	}
#define COMMON                                                      \
	FLAG("json", 0, json, "progress and result as JSON lines"), \
		FLAG("help", 'h', help, "show this text")

static const struct opt kernel_opts[] = {
	STR("vmlinux", vmlinux, "FILE", "take this ELF kernel or bzImage",
		"file"),
	STR("modules", modules, "DIR", "and the modules below this directory",
		"dir"),
	STR("deb", deb, "FILE", "take the kernel of this package", "file"),
	STR("version", version, "VERSION", "Debian's 6.1 or 6.12 cloud kernel",
		"6.1 6.12"),
	STR("init", init, "FILE", "the guest's init instead of cove-init",
		"file"),
	FLAG("rebuild", 0, rebuild, "fetch and unpack again"),
	COMMON,
};

static const struct opt shell_opts[] = {
	FLAG("rebuild", 0, rebuild, "build again from fresh packages"),
	COMMON,
};

static const struct opt disk_opts[] = {
	{.name = "size",
		.type = OPT_SIZE,
		.offset = offsetof(struct job_opts, size),
		.arg = "BYTES",
		.help = "size of the file system, e.g. 20g",
		.min = 64 * MIB,
		.max = 16 * 1024 * GIB},
	STR("kind", kind, "KIND", "upper (default) or docker", "upper docker"),
	STR("label", label, "LABEL", "file system label, 16 bytes at most",
		NULL),
	COMMON,
};

static const struct opt verify_opts[] = {
	FLAG("quick", 0, quick, "compare size and time only"),
	COMMON,
};

static const struct opt import_opts[] = {
	STR("name", name, "NAME", "name of the template", NULL),
	STR("image", image, "IMAGE", "which one, if the archive has several",
		NULL),
	STR("origin", origin, "TEXT", "where it comes from, for inspect", NULL),
	STR("like", like, "TEMPLATE",
		"take environment, user and entry point of this one", NULL),
	FLAG("root", 0, root, "FILE is a root file system, not an image"),
	FLAG("skip-devices", 0, skip_devices,
		"leave device nodes out instead of refusing them"),
	COMMON,
};

static const struct opt pull_opts[] = {
	STR("name", name, "NAME", "name of the template", NULL),
	FLAG("credential", 0, credential,
		"read host, user and password as JSON from standard input"),
	FLAG("skip-devices", 0, skip_devices,
		"leave device nodes out instead of refusing them"),
	COMMON,
};

static const struct opt save_opts[] = {
	STR("output", output, "FILE", "write it to this file", "file"),
	COMMON,
};

static const struct opt load_opts[] = {
	STR("name", name, "NAME", "name of the template", NULL),
	COMMON,
};

const struct command commands[] = {
	{"kernel", NULL, "prepare the guest's kernel", kernel_opts,
		ARRAY_SIZE(kernel_opts), job_kernel},
	{"shell", NULL, "build the shell template from Debian packages",
		shell_opts, ARRAY_SIZE(shell_opts), job_shell},
	{"disk", NULL, "make a pre-formatted sparse disk", disk_opts,
		ARRAY_SIZE(disk_opts), job_disk},
	{"verify", "TEMPLATE", "check a template against its digest",
		verify_opts, ARRAY_SIZE(verify_opts), job_verify},
	{"import", "FILE", "make a template from an image or a root tarball",
		import_opts, ARRAY_SIZE(import_opts), job_import},
	{"pull", "IMAGE", "make a template from an image of a registry",
		pull_opts, ARRAY_SIZE(pull_opts), job_pull},
	{"save", "TEMPLATE", "write a template to a file", save_opts,
		ARRAY_SIZE(save_opts), job_save},
	{"load", "FILE", "read a template that was saved", load_opts,
		ARRAY_SIZE(load_opts), job_load},
};

const size_t n_commands = ARRAY_SIZE(commands);
