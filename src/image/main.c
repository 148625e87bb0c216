/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image: prepares what sandboxes are made of. Started by coved, or by
 * hand; as an ordinary user or root. One job per run.
 */
#include "base/log.h"
#include "base/opt.h"
#include "image/job.h"
#include "image/layer.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

struct command {
	const char *name;
	const char *operand; /* NULL: takes none */
	const char *help;
	const struct opt *opts;
	size_t n_opts;
	int (*run)(
		const struct job_opts *o, struct progress *p, struct err *err);
};

static const struct command commands[] = {
	{"kernel", NULL, "prepare the guest's kernel", kernel_opts,
		ARRAY_SIZE(kernel_opts), job_kernel},
	{"shell", NULL, "build the shell template from Debian packages",
		shell_opts, ARRAY_SIZE(shell_opts), job_shell},
	{"disk", NULL, "make a pre-formatted sparse disk", disk_opts,
		ARRAY_SIZE(disk_opts), job_disk},
	{"verify", "TEMPLATE", "check a template against its digest",
		verify_opts, ARRAY_SIZE(verify_opts), NULL},
};

static void help(void)
{
	printf("usage: cove-image COMMAND [OPTION...]\n");
	for (size_t k = 0; k < ARRAY_SIZE(commands); k++) {
		const struct command *c = &commands[k];

		printf("\n%s%s%s: %s\n", c->name, c->operand ? " " : "",
			c->operand ? c->operand : "", c->help);
		for (size_t n = 0; n < c->n_opts; n++)
			printf("  --%-9s %-8s %s\n", c->opts[n].name,
				c->opts[n].arg ? c->opts[n].arg : "",
				c->opts[n].help);
	}
}

static int usage(const struct err *err)
{
	fprintf(stderr, "cove-image: %s\nSee: cove-image --help\n", err->text);
	return 2;
}

static const struct command *find(const char *name)
{
	for (size_t k = 0; k < ARRAY_SIZE(commands); k++)
		if (streq(name, commands[k].name))
			return &commands[k];
	return NULL;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct job_opts o = {0};
	struct progress p;
	struct err err = {0};
	int n = 0, dashdash, r;

	r = opt_parse(
		c->opts, c->n_opts, &o, argc, argv, false, &n, &dashdash, &err);
	if (r == 0 && o.help) {
		help();
		return 0;
	}
	if (r == 0 && n != (c->operand ? 1 : 0))
		r = err_set(&err, EINVAL, "%s takes %s", c->name,
			c->operand ? c->operand : "no operand");
	if (r < 0)
		return usage(&err);
	progress_init(&p, o.json);
	r = layer_locale(&err);
	if (r == 0)
		r = c->operand ? job_verify(&o, argv[0], &p, &err)
			       : c->run(&o, &p, &err);
	if (r < 0)
		progress_error(&p, &err);
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	struct err err = {0};

	log_init("cove-image", LOG_L_INFO);
	/* helpers are read by this program: no translations */
	setenv("LC_ALL", "C.UTF-8", 1);
	if (argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "-h"))) {
		help();
		return 0;
	}
	if (argc == 2 && streq(argv[1], "--version")) {
		puts("cove-image " COVE_VERSION);
		return 0;
	}
	if (!c) {
		err_set(&err, EINVAL, "%s",
			argc > 1 ? "unknown command" : "a command is needed");
		return usage(&err);
	}
	return run(c, argc - 2, argv + 2);
}
