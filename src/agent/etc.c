/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/etc.h"

#include "agent/account.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int open_new(int dirfd, const char *name, mode_t mode)
{
	return openat(
		dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
}

/*
 * Written beside and renamed, so that no reader sees half a file. Not synced:
 * all of it is made again at the next boot.
 */
static int put_file(
	int dirfd, const char *name, mode_t mode, const char *text, size_t len)
{
	_cleanup_free_ char *tmp = xasprintf(".%s.cove", name);
	_cleanup_close_ int fd = -1;
	int r;

	fd = open_new(dirfd, tmp, mode);
	if (fd < 0 && errno == EEXIST && unlinkat(dirfd, tmp, 0) == 0)
		fd = open_new(dirfd, tmp, mode);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0);
	return r;
}

static int set_file(int dirfd, const char *name, const char *text)
{
	_cleanup_free_ char *old = NULL;

	if (fd_slurp_at(dirfd, name, ACCOUNT_FILE_MAX, &old) >= 0 &&
		streq(old, text))
		return 0;
	return put_file(dirfd, name, 0644, text, strlen(text));
}

/* Keeps owner and mode; a missing file is made when create is set. */
static int append_line(
	int dirfd, const char *name, const char *line, bool create)
{
	_cleanup_free_ char *old = NULL;
	_cleanup_free_ char *all = NULL;
	ssize_t n = fd_slurp_at(dirfd, name, ACCOUNT_FILE_MAX, &old);
	struct stat st = {.st_mode = 0644};
	int r;

	if (n == -ENOENT)
		return create ? put_file(dirfd, name, 0644, line, strlen(line))
			      : 0;
	if (n < 0)
		return (int)n;
	if (fstatat(dirfd, name, &st, 0) < 0)
		return -errno;
	all = xasprintf(
		"%s%s%s", old, n && old[n - 1] != '\n' ? "\n" : "", line);
	r = put_file(dirfd, name, st.st_mode & 07777, all, strlen(all));
	if (r == 0 && fchownat(dirfd, name, st.st_uid, st.st_gid, 0) < 0)
		r = -errno;
	return r;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += len)
		if ((p == text || strchr(" \t\n", p[-1])) &&
			strchr(" \t\n", p[len]))
			return true;
	return false;
}

static int set_hosts(int etc, const char *name)
{
	_cleanup_free_ char *old = NULL;
	_cleanup_free_ char *line = xasprintf("127.0.1.1\t%s\n", name);
	_cleanup_free_ char *all =
		xasprintf("127.0.0.1\tlocalhost\n"
			  "::1\tlocalhost ip6-localhost ip6-loopback\n%s",
			line);

	if (fd_slurp_at(etc, "hosts", ACCOUNT_FILE_MAX, &old) < 0 ||
		!has_word(old, "localhost"))
		return put_file(etc, "hosts", 0644, all, strlen(all));
	return has_word(old, name) ? 0 : append_line(etc, "hosts", line, true);
}

/* The sandbox's UUID without its dashes: random, and the same at each start. */
static int set_machine_id(int etc, const char *uuid)
{
	char text[40];
	size_t n = 0;

	for (; *uuid && n < 32; uuid++)
		if (*uuid != '-')
			text[n++] = (char)(*uuid | 0x20);
	text[n++] = '\n';
	text[n] = '\0';
	return set_file(etc, "machine-id", text);
}

static int open_root(
	const char *root, const char *name, int *ret, struct err *err)
{
	_cleanup_close_ int dir =
		open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (dir < 0)
		return err_sys(err, errno, "open %s", root);
	(void)mkdirat(dir, name, 0755);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open /%s", name);
	*ret = fd;
	return 0;
}

int etc_identity(
	const char *root, const char *name, const char *uuid, struct err *err)
{
	_cleanup_close_ int etc = -1;
	_cleanup_free_ char *line = xasprintf("%s\n", name);
	int r = open_root(root, "etc", &etc, err);

	if (r < 0)
		return r;
	r = set_file(etc, "hostname", line);
	r = r ? r : set_hosts(etc, name);
	r = r ? r : set_machine_id(etc, uuid);
	return r < 0 ? err_sys(err, -r, "write names below /etc") : 0;
}

static bool has_entry(int etc, const char *file, const char *name)
{
	_cleanup_free_ char *text = NULL;
	size_t len = strlen(name);

	if (fd_slurp_at(etc, file, ACCOUNT_FILE_MAX, &text) < 0)
		return false;
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return true;
	}
	return false;
}

static const char *login_shell(const char *root)
{
	_cleanup_free_ char *bash = xasprintf("%s/bin/bash", root);

	return access(bash, X_OK) == 0 ? "/bin/bash" : "/bin/sh";
}

/* No password: "*" matches none, but the account is not "locked" for PAM. */
static int add_lines(int etc, const char *root, const char *name)
{
	_cleanup_free_ char *passwd = xasprintf("%s:x:%u:%u::/home/%s:%s\n",
		name, AGENT_UID, AGENT_GID, name, login_shell(root));
	_cleanup_free_ char *group = xasprintf("%s:x:%u:\n", name, AGENT_GID);
	_cleanup_free_ char *shadow =
		xasprintf("%s:*:19000:0:99999:7:::\n", name);
	int r = append_line(etc, "passwd", passwd, true);

	if (r == 0 && !has_entry(etc, "group", name))
		r = append_line(etc, "group", group, true);
	if (r == 0 && !has_entry(etc, "shadow", name))
		r = append_line(etc, "shadow", shadow, false);
	return r;
}

static int allow_sudo(int etc, const char *name)
{
	_cleanup_free_ char *line =
		xasprintf("%s ALL=(ALL:ALL) NOPASSWD: ALL\n", name);
	_cleanup_close_ int dir =
		openat(etc, "sudoers.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return 0; /* no sudo in this image */
	return put_file(dir, "cove-agent", 0440, line, strlen(line));
}

static int make_home(const char *root, const char *name, struct err *err)
{
	_cleanup_close_ int home = -1;
	int r = open_root(root, "home", &home, err);

	if (r < 0)
		return r;
	if (mkdirat(home, name, 0755) < 0)
		return errno == EEXIST ? 0 : err_sys(err, errno, "make home");
	if (fchownat(home, name, AGENT_UID, AGENT_GID, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "own home");
	return 0;
}

int etc_ensure_user(const char *root, const char *name, struct err *err)
{
	_cleanup_close_ int etc = -1;
	int r = open_root(root, "etc", &etc, err);

	if (r < 0)
		return r;
	if (has_entry(etc, "passwd", name))
		return 0;
	r = add_lines(etc, root, name);
	r = r ? r : allow_sudo(etc, name);
	if (r < 0)
		return err_sys(err, -r, "create the user %s", name);
	return make_home(root, name, err);
}
