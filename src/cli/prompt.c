/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prompt.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>
#include <strings.h>

int prompt_yes(const char *question, const char *flag, struct err *err)
{
	_cleanup_free_ char *safe = text_safe(question);
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return err_set(err, ECANCELED,
			"not done: this needs a yes, and there is no terminal "
			"to ask on; %s says yes",
			flag);
	fprintf(stderr, "%s [y/N] ", safe);
	fflush(stderr);
	ssize_t n = getline(&line, &size, stdin);
	if (n <= 0)
		putc('\n', stderr);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == ' '))
		line[--n] = '\0';
	if (n > 0 && (!strcasecmp(line, "y") || !strcasecmp(line, "yes")))
		return 0;
	return err_set(err, ECANCELED, "not done");
}
