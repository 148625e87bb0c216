/* SPDX-License-Identifier: Apache-2.0 */
/* cove template login, logout: the credential of a registry. */
#include "cli/template.h"

#include "cli/api.h"
#include "cli/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#define LINE_BYTES 4096

/* One line of standard input, without echo where that is a terminal. */
static int read_line(const char *prompt, bool echo, char *line, struct err *err)
{
	struct termios old, quiet;
	bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;
	char *got;

	if (tty) {
		fputs(prompt, stderr);
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)(echo ? 0 : ECHO);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	got = fgets(line, LINE_BYTES, stdin);
	if (tty) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		if (!echo)
			fputc('\n', stderr);
	}
	if (!got)
		return err_set(err, EINVAL,
			"nothing on standard input; it takes the password");
	line[strcspn(line, "\r\n")] = '\0';
	return *line ? 0 : err_set(err, EINVAL, "it is empty");
}

int template_login(const struct call *call)
{
	const struct template_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	char user[LINE_BYTES] = "", password[LINE_BYTES];
	struct err err = {0};
	json_t *body;
	int r = 0;

	if (!o->user && !isatty(STDIN_FILENO))
		return cli_usage(call->cli,
			"template login needs --user USER when the password "
			"comes from a pipe");
	if (!o->user)
		r = read_line("User: ", true, user, &err);
	if (r == 0)
		r = read_line("Password: ", false, password, &err);
	if (r < 0)
		return cli_fail(&err);
	body = json_pack("{s:s, s:s, s:s}", "host", call->argv[1], "user",
		o->user ? o->user : user, "password", password);
	explicit_bzero(password, sizeof(password));
	if (!body)
		err_set(&err, EINVAL, "the password is not valid UTF-8");
	r = body ? api_call(&api, "POST", "/v1/registries", body, NULL, &err)
		 : -EINVAL;
	json_decref(body);
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

int template_logout(const struct call *call)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
	const char *host = call->argv[1];
	struct api api = {.cli = call->cli};
	struct err err = {0};
	_cleanup_free_ char *path = xasprintf("/v1/registries/%s", host);

	if (strspn(host, ok) != strlen(host))
		return cli_usage(call->cli, "'%.80s' is no registry", host);
	if (api_call(&api, "DELETE", path, NULL, NULL, &err) < 0)
		return cli_fail(&err);
	return CLI_OK;
}
