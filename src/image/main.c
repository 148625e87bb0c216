/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image: prepares what sandboxes are made of. Started by coved, or by
 * hand; as an ordinary user or root. One job per run.
 */
#include "base/log.h"
#include "image/commands.h"
#include "image/layer.h"

#include <errno.h>
#include <stdio.h>

static void help(void)
{
	printf("usage: cove-image COMMAND [OPTION...]\n");
	for (size_t k = 0; k < n_commands; k++) {
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
	for (size_t k = 0; k < n_commands; k++)
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
	o.operand = c->operand ? argv[0] : NULL;
	progress_init(&p, o.json);
	r = layer_locale(&err);
	if (r == 0)
		r = c->run(&o, &p, &err);
	if (r < 0)
		progress_error(&p, &err);
	return r < 0 ? 1 : 0;
}

/*
 * Helpers are read by this program, so no translations; and some of them live
 * in, or call what lives in, places that an ordinary user's PATH lacks.
 */
static void set_environment(void)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *all = xasprintf("%s:/usr/sbin:/sbin:/usr/bin:/bin",
		path && *path ? path : "/usr/bin");

	setenv("PATH", all, 1);
	setenv("LC_ALL", "C.UTF-8", 1);
}

int main(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	struct err err = {0};

	log_init("cove-image", LOG_L_INFO);
	set_environment();
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
