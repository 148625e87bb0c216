/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trust.h"

#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BUNDLE_MAX (8u << 20)

/* Debian and Alpine; Fedora; openSUSE. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"};

static char *below(const char *root, const char *path)
{
	return streq(root, "/") ? xstrdup(path) : xasprintf("%s%s", root, path);
}

const char *trust_bundle(const char *root)
{
	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++) {
		_cleanup_free_ char *path = below(root, bundles[i]);

		if (access(path, F_OK) == 0)
			return bundles[i];
	}
	return "";
}

static void make_dirs(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
}

/* Not synced: it is made again at the next start. */
static int write_file(
	const char *root, const char *to, const char *cert, struct err *err)
{
	_cleanup_free_ char *path = below(root, to);
	_cleanup_close_ int fd = -1;
	int r;

	make_dirs(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		0644);
	r = fd < 0 ? -errno : fd_write_all(fd, cert, strlen(cert));
	return r < 0 ? err_sys(err, -r, "%s", to) : 0;
}

/* Once: a guest that is started again has it already. */
static int add_to_bundle(const char *root, const char *cert, struct err *err)
{
	const char *name = trust_bundle(root);
	_cleanup_free_ char *path = below(root, name);
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r;

	if (!*name)
		return 0;
	n = fd_slurp_at(AT_FDCWD, path, BUNDLE_MAX, &text);
	if (n < 0)
		return err_sys(err, (int)-n, "%s", name);
	if (memmem(text, (size_t)n, cert, strlen(cert)))
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "%s", name);
	r = n > 0 && text[n - 1] != '\n' ? fd_write_all(fd, "\n", 1) : 0;
	r = r ? r : fd_write_all(fd, cert, strlen(cert));
	return r < 0 ? err_sys(err, -r, "%s", name) : 0;
}

/* OpenSSL looks a certificate up by the hash of its name. */
static void link_hash(const char *root, const char *hash)
{
	_cleanup_free_ char *dir = below(root, "/etc/ssl/certs");
	_cleanup_free_ char *path = xasprintf("%s/%s.0", dir, hash);

	if (strlen(hash) == 8 && strspn(hash, "0123456789abcdef") == 8 &&
		symlink(TRUST_FILE, path) < 0 && errno != EEXIST &&
		errno != ENOENT)
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
}

int trust_install(
	const char *root, const char *cert, const char *hash, struct err *err)
{
	int r = write_file(root, TRUST_FILE, cert, err);

	r = r ? r : add_to_bundle(root, cert, err);
	if (r == 0)
		link_hash(root, hash);
	return r;
}

static void add(struct strv *env, const char *name, const char *value)
{
	if (*value && !strv_getenv(env, name))
		(void)strv_setenv(env, xasprintf("%s=%s", name, value));
}

/* Programs that bring certificates of their own: Python's requests, Node. */
void trust_environ(struct strv *env, const char *bundle)
{
	add(env, "NODE_EXTRA_CA_CERTS", TRUST_FILE);
	add(env, "SSL_CERT_FILE", bundle);
	add(env, "REQUESTS_CA_BUNDLE", bundle);
}
