/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs, as coved runs them: the program itself (argv[1]) with --json, in a
 * COVE_HOME of its own. Kernels and packages are made here, so no network.
 */
#include "cm.h"
#include "image/mkelf.h"
#include "image/tar.h"
#include "tls/digest.h"

#include "base/fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BANNER "Linux version 6.1.0-9-test (x@y) #1"

static const char *program;
static char home[] = "/tmp/cove-test-image-XXXXXX";

static void put(const char *name, const void *p, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", home, name);

	assert_int_equal(fd_replace_at(AT_FDCWD, path, p, len, 0644), 0);
}

static void put_blob(const char *name, struct blob b)
{
	put(name, b.p, b.len);
	blob_done(&b);
}

/* The last JSON line; *ret_status is the exit status. */
static json_t *run(const char *args, int *ret_status)
{
	_cleanup_free_ char *cmd =
		xasprintf("cd %s && COVE_HOME=%s %s %s --json 2>&1", home, home,
			program, args);
	char line[4096], last[4096] = "";
	FILE *f = popen(cmd, "r");
	json_t *o;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		memcpy(last, line, sizeof(last));
	*ret_status = WEXITSTATUS(pclose(f));
	o = json_loads(last, 0, NULL);
	if (!o)
		fail_msg("no JSON: %s", last);
	return o;
}

/* Runs a job that must succeed. */
static json_t *result(const char *args)
{
	int status;
	json_t *o = run(args, &status), *r = json_object_get(o, "result");

	if (!r)
		fail_msg("%s: %s", args,
			json_string_value(json_object_get(o, "error")));
	assert_int_equal(status, 0);
	json_incref(r);
	json_decref(o);
	return r;
}

static void refused(const char *args, const char *word)
{
	int status;
	json_t *o = run(args, &status);
	const char *e = json_string_value(json_object_get(o, "error"));

	if (!e || !strstr(e, word))
		fail_msg("'%s' does not say '%s'", e ? e : "no error", word);
	assert_int_equal(status, 1);
	json_decref(o);
}

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

static bool cached(const json_t *o)
{
	return json_is_true(json_object_get(o, "cached"));
}

/* Entries of a directory of the cache, but for the lock. */
static size_t count(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/cache/%s", home, dir);
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int group_setup(void **state)
{
	return mkdtemp(home) ? 0 : -1;
}

static int group_teardown(void **state)
{
	_cleanup_free_ char *cmd = xasprintf("rm -rf %s", home);

	return system(cmd);
}

static void test_disk(void **state)
{
	json_t *o = result("disk --size 256m");
	_cleanup_free_ char *fsck =
		xasprintf("PATH=$PATH:/sbin:/usr/sbin e2fsck -fn %s "
			  ">/dev/null 2>&1",
			str(o, "path"));
	struct stat st;

	assert_false(cached(o));
	assert_int_equal(stat(str(o, "path"), &st), 0);
	assert_int_equal(st.st_size, 256 * MIB);
	assert_true((uint64_t)st.st_blocks * 512 < 4 * MIB);
	assert_int_equal(system(fsck), 0);
	json_decref(o);
	o = result("disk --size 256m");
	assert_true(cached(o));
	json_decref(o);
	o = result("disk --size 256m --kind docker --label my-disk");
	assert_false(cached(o));
	json_decref(o);
	assert_int_equal(count("disks"), 2);
	refused("disk", "--size");
	refused("disk --size 268435457", "4096");
	refused("disk --size 256m --kind other", "kind");
	refused("disk --size 256m --label 'a b'", "label");
}

static void make_module(const char *file, const char *name, const char *deps)
{
	char info[128];
	int n = snprintf(
		info, sizeof(info), "depends=%s%cname=%s", deps, 0, name);

	put_blob(file, elf_module(info, (size_t)n + 1));
}

static ino_t inode_of(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* The archive in hand has the bytes somewhere. */
static void expect_bytes(const char *dir, const char *name, const char *bytes)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *data = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD, path, 16 * MIB, &data);

	assert_true(n > 0);
	if (!memmem(data, (size_t)n, bytes, strlen(bytes)))
		fail_msg("%s has no '%s'", name, bytes);
}

#define KERNEL "kernel --vmlinux vmlinux --modules mods --init init"

static void test_kernel(void **state)
{
	_cleanup_free_ char *mods = xasprintf("%s/mods", home);
	_cleanup_free_ char *first = NULL;
	json_t *o;
	ino_t vmlinux;

	put_blob("vmlinux", elf_kernel(BANNER));
	assert_int_equal(mkdir(mods, 0755), 0);
	make_module("mods/virtio_blk.ko", "virtio_blk", "virtio");
	make_module("mods/virtio.ko", "virtio", "");
	make_module("mods/bridge.ko", "bridge", "");
	put("init", "first init", 10);
	o = result(KERNEL);
	assert_string_equal(str(o, "version"), "6.1.0-9-test");
	assert_false(cached(o));
	first = xstrdup(str(o, "path"));
	vmlinux = inode_of(first, "vmlinux");
	expect_bytes(first, "initrd.cpio", "first init");
	expect_bytes(first, "initrd.cpio", "modules/00-virtio.ko");
	expect_bytes(first, "initrd.cpio", "modules/01-virtio_blk.ko");
	expect_bytes(first, "initrd.cpio", "modules/late/00-bridge.ko");
	expect_bytes(first, "vmlinux", BANNER);
	json_decref(o);
	o = result(KERNEL);
	assert_true(cached(o));
	assert_string_equal(str(o, "path"), first);
	json_decref(o);
	/* another init: the kernel is linked, not read again */
	put("init", "second init", 11);
	o = result(KERNEL);
	assert_string_not_equal(str(o, "path"), first);
	assert_int_equal(inode_of(str(o, "path"), "vmlinux"), vmlinux);
	expect_bytes(str(o, "path"), "initrd.cpio", "second init");
	expect_bytes(str(o, "path"), "initrd.cpio", "01-virtio_blk.ko");
	json_decref(o);
	/* a third: the first is gone, the one before stays for who boots it */
	put("init", "third init!", 11);
	json_decref(result(KERNEL));
	assert_int_equal(count("kernels"), 3);
	assert_int_equal(access(first, F_OK), -1);
}

/* A damaged entry is not used but made again. */
static void test_kernel_damaged(void **state)
{
	_cleanup_free_ char *path = NULL;
	json_t *o = result(KERNEL);

	path = xasprintf("%s/vmlinux", str(o, "path"));
	json_decref(o);
	assert_int_equal(truncate(path, 10), 0);
	o = result(KERNEL);
	assert_false(cached(o));
	expect_bytes(str(o, "path"), "vmlinux", BANNER);
	json_decref(o);
}

static void test_kernel_refused(void **state)
{
	size_t before = count("kernels");
	struct blob bz = elf_bzimage("junkjunk", 8, 0x20f);

	put("junk", "this is no kernel", 17);
	put_blob("bz", bz);
	refused("kernel --init init --vmlinux junk", "junk");
	refused("kernel --init init --vmlinux bz", "compression");
	refused("kernel --init init --vmlinux /nowhere", "/nowhere");
	/* what is quoted cannot speak to a terminal, and stays JSON */
	refused("kernel --init init --vmlinux \"$(printf "
		"'/a\\033]0;b\\377')\"",
		"/a?]0;b?");
	refused("kernel --init /nowhere --vmlinux vmlinux", "/nowhere");
	refused("kernel --init init --deb junk", "package");
	refused("kernel --init init --modules mods", "--vmlinux");
	refused("kernel --init init --deb junk --vmlinux bz", "only one");
	refused("kernel --init init --version 5.10", "6.12");
	assert_int_equal(count("kernels"), before);
}

static void ar_member(
	struct blob *ar, const char *name, const void *p, size_t len)
{
	char head[61];

	snprintf(head, sizeof(head), "%-16s%-12d%-6d%-6d%-8o%-10zu`\n", name, 0,
		0, 0, 0100644u, len);
	ar->p = xrealloc(ar->p, ar->len + 60 + len + 1, 1);
	memcpy(ar->p + ar->len, head, 60);
	memcpy(ar->p + ar->len + 60, p, len);
	ar->len += 60 + len;
	if (len % 2)
		ar->p[ar->len++] = '\n';
}

static void test_deb(void **state)
{
	struct blob ar = {(uint8_t *)xstrdup("!<arch>\n"), 8};
	struct blob elf = elf_kernel(BANNER);
	struct blob mod = elf_module("name=virtio_blk", 16);
	struct tar t;
	json_t *o;

	tar_open(&t, "xz");
	tar_entry(&t, "./boot/vmlinuz-6.1.0-9-test", S_IFREG | 0644);
	tar_put(&t, elf.p, elf.len);
	tar_entry(&t, "./usr/lib/modules/6.1/kernel/virtio_blk.ko",
		S_IFREG | 0644);
	tar_put(&t, mod.p, mod.len);
	tar_file(&t, "./usr/lib/modules/6.1/modules.builtin", "kernel/x.ko\n");
	tar_close(&t);
	ar_member(&ar, "debian-binary", "2.0\n", 4);
	ar_member(&ar, "control.tar.xz", "odd", 3);
	ar_member(&ar, "data.tar.xz", t.out, t.used);
	put("k.deb", ar.p, ar.len);
	o = result("kernel --init init --deb k.deb");
	assert_string_equal(str(o, "version"), "6.1.0-9-test");
	expect_bytes(
		str(o, "path"), "modules.cpio", "modules/00-virtio_blk.ko");
	json_decref(o);
	put("cut.deb", ar.p, ar.len - 40);
	refused("kernel --init init --deb cut.deb", "cut.deb");
	tar_done(&t);
	blob_done(&ar);
	blob_done(&elf);
	blob_done(&mod);
}

/* A template as the shell job would have left it. */
static char *make_template(const char *data, size_t len)
{
	_cleanup_free_ char *dir = NULL, *image = NULL, *cmd = NULL;
	_cleanup_free_ char *meta = NULL, *meta_path = NULL;
	char hex[SHA256_HEX];
	struct stat st;

	digest_of(data, len, hex);
	dir = xasprintf("cache/templates/%s", hex);
	image = xasprintf("%s/root.erofs", dir);
	cmd = xasprintf("cd %s && mkdir -p %s cache/templates/names && "
			"ln -sfn ../%s cache/templates/names/t",
		home, dir, hex);
	assert_int_equal(system(cmd), 0);
	put(image, data, len);
	free(cmd);
	cmd = xasprintf("%s/%s", home, image);
	assert_int_equal(stat(cmd, &st), 0);
	meta = xasprintf("{\"size\":%lld,\"mtime_ns\":%lld}",
		(long long)st.st_size,
		(long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	meta_path = xasprintf("%s/meta.json", dir);
	put(meta_path, meta, strlen(meta));
	return TAKE_PTR(cmd);
}

static void test_verify(void **state)
{
	_cleanup_free_ char *image = make_template("0123456789", 10);
	struct timespec times[2];
	struct stat st;
	json_t *o = result("verify t");
	_cleanup_free_ char *by_digest =
		xasprintf("verify sha256:%s", str(o, "digest"));
	int fd;

	json_decref(o);
	json_decref(result(by_digest));
	json_decref(result("verify --quick t"));
	refused("verify other", "no template");
	refused("verify ../../etc", "no template");
	/* one byte, and the time put back: only the full check sees it */
	assert_int_equal(stat(image, &st), 0);
	fd = open(image, O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 4), 1);
	times[0] = times[1] = st.st_mtim;
	assert_int_equal(futimens(fd, times), 0);
	json_decref(result("verify --quick t"));
	refused("verify t", "SHA-256");
	/* a change that nobody hides */
	assert_int_equal(pwrite(fd, "4", 1, 4), 1);
	refused("verify --quick t", "changed");
	json_decref(result("verify t"));
	assert_int_equal(ftruncate(fd, 5), 0);
	refused("verify t", "damaged");
	close(fd);
	unlink(image);
	refused("verify --quick t", "damaged");
}

/* What a killed job left goes away with the next one. */
static void test_sweep(void **state)
{
	_cleanup_free_ char *cmd =
		xasprintf("cd %s/cache/disks && mkdir -p tmp-dead/d/upper && "
			  "touch tmp-dead/img",
			home);
	_cleanup_free_ char *dead = xasprintf("%s/cache/disks/tmp-dead", home);

	assert_int_equal(system(cmd), 0);
	json_decref(result("disk --size 128m"));
	assert_int_equal(access(dead, F_OK), -1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_kernel_damaged),
		cmocka_unit_test(test_kernel_refused),
		cmocka_unit_test(test_deb),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_sweep),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
