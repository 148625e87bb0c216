/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/authority.h"

#include "base/fd.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <string.h>

#define KEY_FILE "ca.key"
#define CERT_FILE "ca.crt"
#define TEXT_MAX 65536u

/* The key first: a certificate without its key would be of no use. */
static int make(int dir, struct ca_text *t, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	char host[64] = "this host";
	int r;

	(void)gethostname(host, sizeof(host) - 1);
	name = xasprintf("Cove sandboxes on %.40s", host);
	r = ca_make(name, t, err);
	if (r < 0)
		return r;
	r = fd_replace_at(dir, KEY_FILE, t->key, strlen(t->key), 0600);
	r = r ? r
	      : fd_replace_at(dir, CERT_FILE, t->cert, strlen(t->cert), 0644);
	return r < 0 ? err_sys(err, -r, "save the certificate authority") : 0;
}

static int load(struct daemon *d, struct ca_text *ret, struct err *err)
{
	struct ca_text t = {NULL, NULL};
	_cleanup_close_ int dir = -1;
	int r = daemon_open_dir(d, "ca", NULL, &dir, err);
	ssize_t n = 0;

	if (r < 0)
		return r;
	if (fd_slurp_at(dir, CERT_FILE, TEXT_MAX, &t.cert) == -ENOENT) {
		r = make(dir, &t, err);
	} else {
		n = fd_slurp_at(dir, KEY_FILE, TEXT_MAX, &t.key);
		if (!t.cert || n < 0)
			r = err_set(err, EIO,
				"%s/ca cannot be read; without it no TLS is "
				"opened. Remove it to make a new authority",
				d->paths.state);
	}
	if (r < 0) {
		ca_text_free(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int authority_cert(struct daemon *d, char **ret, struct err *err)
{
	struct ca_text t;
	int r = load(d, &t, err);

	if (r < 0)
		return r;
	*ret = TAKE_PTR(t.cert);
	ca_text_free(&t);
	return 0;
}

int authority_signer(struct daemon *d, const char *sandbox,
	const char *const *names, size_t n, struct ca_text *ret,
	struct err *err)
{
	_cleanup_free_ char *name = xasprintf("Cove gate of %.48s", sandbox);
	struct ca_text root;
	int r = load(d, &root, err);

	if (r < 0)
		return r;
	r = ca_issue(&root, name, names, n, ret, err);
	ca_text_free(&root);
	return r;
}
