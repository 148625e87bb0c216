/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/birth.h"

#include "wire/agent.h"
#include "wire/wire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int birth_arguments(const char *program, int argc, char **argv)
{
	bool help =
		argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "-h"));

	if (argc < 2)
		return -1;
	if (argc == 2 && streq(argv[1], "--version"))
		return printf("%s %s\n", program, COVE_VERSION) < 0;
	(void)fprintf(help ? stdout : stderr,
		"usage: %s [--help | --version]\n"
		"It is started by coved, which tells it everything else.\n",
		program);
	return help ? 0 : 2;
}

void birth_fds_done(struct birth_fds *p)
{
	for (size_t i = 0; i < p->n; i++)
		closep(&p->fd[i]);
}

int birth_claim(const struct tlv *t, struct birth_fds *p, int *ret)
{
	uint32_t i;

	if (tlv_u32(t, &i) < 0 || i >= p->n || p->fd[i] < 0 || *ret >= 0)
		return -EBADMSG;
	*ret = TAKE_FD(p->fd[i]);
	return 0;
}

int birth_str(const struct tlv *t, size_t max, char **ret)
{
	return *ret ? -EBADMSG : tlv_str(t, max, ret);
}

int birth_export(const struct tlv *t, struct birth_fds *p,
	struct birth_export *list, size_t *n)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct birth_export *e = &list[*n];
	struct tlv f;
	int r;

	if (*n == BIRTH_EXPORTS)
		return -EBADMSG;
	*e = (struct birth_export){.fd = -1};
	++*n;
	while ((r = tlv_next(&it, &f)) > 0) {
		if (f.tag == BE_FD)
			r = birth_claim(&f, p, &e->fd);
		else if (f.tag == BE_NAME)
			r = birth_str(&f, AGENT_NAME_MAX, &e->name);
		else if (f.tag == BE_FLAGS)
			r = tlv_u32(&f, &e->flags);
		if (r < 0)
			return r;
	}
	return r < 0 || e->fd < 0 || !e->name ? -EBADMSG : 0;
}

void birth_exports_done(struct birth_export *list, size_t *n)
{
	while (*n) {
		struct birth_export *e = &list[--*n];

		closep(&e->fd);
		free(TAKE_PTR(e->name));
	}
}

static int check_version(const struct tlv *t)
{
	uint32_t version;

	return tlv_u32(t, &version) < 0 || version != WIRE_VERSION ? -EPROTO
								   : 0;
}

int birth_read(int sock, const char *program, birth_field_fn *fn, void *arg,
	struct err *err)
{
	_cleanup_birth_fds_ struct birth_fds p = {.n = 0};
	_cleanup_free_ uint8_t *msg = xcalloc(BIRTH_MAX, 1);
	ssize_t n =
		sock_recv_fds(sock, msg, BIRTH_MAX, p.fd, FD_PASS_MAX, &p.n);
	struct tlv_iter it;
	struct tlv t;
	int r;

	if (n <= 0)
		return err_sys(err, n ? (int)-n : EPIPE,
			"no birth message on descriptor %d: %s is started by "
			"coved",
			sock, program);
	it = tlv_iter(msg, (size_t)n);
	while ((r = tlv_next(&it, &t)) > 0) {
		r = t.tag == BT_VERSION ? check_version(&t) : fn(arg, &t, &p);
		if (r < 0)
			return err_sys(
				err, -r, "birth message: bad field %u", t.tag);
	}
	return r < 0 ? err_sys(err, -r, "birth message: bad encoding") : 0;
}

void birth_answer(int sock, const struct err *err)
{
	uint8_t ok = BIRTH_OK;

	/* coved may be gone already; nobody else would want to know. */
	if (err->code)
		(void)send(sock, err->text, strlen(err->text), MSG_NOSIGNAL);
	else
		(void)send(sock, &ok, 1, MSG_NOSIGNAL);
}
