/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trust.h"

#include "agent/jks.h"
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

/* Debian; Fedora. */
static const char *const java_stores[] = {
	"/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts"};

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

/* One that is not understood stays as it is: Java then trusts us not. */
static int add_to_java(
	const char *root, const char *name, const char *cert, struct err *err)
{
	_cleanup_free_ char *path = below(root, name);
	_cleanup_free_ char *store = NULL;
	_cleanup_(buf_done) struct buf b;
	ssize_t n = fd_slurp_at(AT_FDCWD, path, JKS_MAX, &store);
	int r;

	buf_init(&b, JKS_MAX);
	if (n < 0 || jks_add((const uint8_t *)store, (size_t)n, cert, &b) < 0)
		return 0;
	r = fd_replace_at(AT_FDCWD, path, buf_head(&b), buf_len(&b), 0644);
	return r < 0 ? err_sys(err, -r, "%s", name) : 0;
}

/* OpenSSL looks a certificate up by the hash of its name. */
static void add_link(const char *root, const char *name)
{
	_cleanup_free_ char *dir = below(root, "/etc/ssl/certs");
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	if (symlink(TRUST_FILE, path) < 0 && errno != EEXIST && errno != ENOENT)
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
}

static void add_links(const char *root, const char *hash)
{
	_cleanup_free_ char *name = xasprintf("%s.0", hash);

	if (strlen(hash) == 8 && strspn(hash, "0123456789abcdef") == 8)
		add_link(root, name);
	/* For what gathers certificates itself: a Java that is installed. */
	add_link(root, "cove.pem");
}

int trust_install(
	const char *root, const char *cert, const char *hash, struct err *err)
{
	int r = write_file(root, TRUST_FILE, cert, err);

	r = r ? r : add_to_bundle(root, cert, err);
	if (r == 0)
		add_links(root, hash);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(java_stores); i++)
		r = add_to_java(root, java_stores[i], cert, err);
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
