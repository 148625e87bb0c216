/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image shell: the "shell" template from Debian packages. mmdebstrap
 * makes the tree (in a user namespace when not root) and streams it as tar;
 * nothing is extracted on the host, the stream goes straight into the image.
 */
#include "base/buf.h"
#include "base/fd.h"
#include "image/child.h"
#include "image/debian.h"
#include "image/job.h"
#include "image/template.h"
#include "image/worker.h"
#include "tls/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME "shell"
#define TMP_NEEDED (1700 * MIB)   /* tree and archives while it is built */
#define CACHE_NEEDED (1000 * MIB) /* the image */
#define LOG_MAX (4 * MIB)
#define LOG_NAME "shell.log"
#define DAY 86400

static const char packages[] =
	/* what agents and people call */
	"bash-completion,bzip2,ca-certificates,curl,file,git,jq,less,"
	"make,nodejs,openssh-client,patch,procps,psmisc,python3,"
	"python3-venv,ripgrep,rsync,sqlite3,sudo,unzip,vim-tiny,xz-utils,zip,"
	"zstd,"
	/* the network and Docker */
	"containerd,docker-buildx,docker-cli,docker-compose,docker.io,"
	"iproute2,iptables,nftables,runc";

static const char *const apt_options[] = {
	"APT::Install-Recommends \"false\"",
	"Acquire::Languages \"none\"",
};

static const char *const dpkg_options[] = {
	"path-exclude=/usr/share/man/*",
	"path-exclude=/usr/share/doc/*",
	"path-include=/usr/share/doc/*/copyright",
	"path-exclude=/usr/share/info/*",
	"path-exclude=/usr/share/lintian/*",
	"path-exclude=/usr/share/locale/*/LC_MESSAGES/*",
	"force-unsafe-io",
};

/* Runs with the tree's path as $1, as root of the tree's user namespace. */
static const char customize[] =
	"set -eu\n"
	"chroot \"$1\" useradd --create-home --uid 1000 --user-group "
	"--shell /bin/bash --groups sudo,docker agent\n"
	"chroot \"$1\" install -d -o agent -g agent /home/agent/workspace\n"
	"printf 'agent ALL=(ALL:ALL) NOPASSWD:ALL\\n' "
	">\"$1/etc/sudoers.d/agent\"\n"
	"chmod 0440 \"$1/etc/sudoers.d/agent\"\n"
	"printf 'cove\\n' >\"$1/etc/hostname\"\n"
	"printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost\\n' "
	">\"$1/etc/hosts\"\n"
	": >\"$1/etc/resolv.conf\"\n"
	"chmod 0644 \"$1/etc/hostname\" \"$1/etc/hosts\" "
	"\"$1/etc/resolv.conf\"\n"
	/* the host's proxy and network settings stay with the host */
	"rm -f \"$1/etc/apt/apt.conf.d/99mmdebstrap\"\n"
	"printf 'APT::Install-Recommends \"false\";\\n"
	"Acquire::Languages \"none\";\\n' "
	">\"$1/etc/apt/apt.conf.d/90cove\"\n";

/* What the worker hands over, also when it failed. */
struct shell_result {
	struct template_result image;
	uint64_t packages;
	bool eof;
	char last[200]; /* of mmdebstrap's words, the one that says why */
};

struct shell_job {
	struct progress *p;
	struct cache cache;
	struct template_build build;
	struct template_image image; /* the worker's */
	struct args args;
	struct child child;
	struct buf line; /* of mmdebstrap's stderr, not yet complete */
	int log;
	uint64_t logged;
	bool eof; /* the tar stream came to its end */
	uint8_t chunk[256 * KIB];
	char recipe[SHA256_HEX];
	char last[200];
	int64_t epoch;
	uint64_t packages; /* to install, as apt told so far */
	uint64_t got, done;
	uint64_t tar_bytes;
	uint64_t start_ms;
};

/* What mmdebstrap says. */

static void keep(struct shell_job *j, const char *line)
{
	/* the first E: is the reason, what follows are consequences */
	if (strncmp(j->last, "E:", 2) == 0)
		return;
	if (*line)
		snprintf(j->last, sizeof(j->last), "%.190s", line);
}

static void say(struct shell_job *j, const char *line)
{
	if (strstr(line, "tempdir") || strstr(line, "signed-by"))
		return;
	progress_say(j->p, "packages", "%s", line);
}

static unsigned long long seconds(const struct shell_job *j)
{
	return (now_ms() - j->start_ms) / 1000;
}

static void count_download(struct shell_job *j)
{
	j->got++;
	progress_count(j->p, "download", j->got, 0, "package %llu, %llu s",
		(unsigned long long)j->got, seconds(j));
}

static void count_install(struct shell_job *j, const char *name)
{
	j->done++;
	progress_count(j->p, "install", j->done, j->packages,
		"%llu of %llu: %s, %llu s", (unsigned long long)j->done,
		(unsigned long long)j->packages, name, seconds(j));
}

static void on_line(struct shell_job *j, const char *line)
{
	const char *news;
	char name[64];

	keep(j, line);
	if (strncmp(line, "I: ", 3) == 0)
		say(j, line + 3);
	else if (strncmp(line, "Need to get ", 12) == 0)
		say(j, line);
	else if ((news = strstr(line, " upgraded, ")))
		j->packages += strtoull(news + 11, NULL, 10);
	else if (strncmp(line, "Get:", 4) == 0)
		count_download(j);
	else if (sscanf(line, "Setting up %63[^ ]", name) == 1)
		count_install(j, name);
}

static void on_stderr(void *arg, const char *p, size_t len)
{
	struct shell_job *j = arg;
	char line[512];
	const uint8_t *nl;

	if (j->logged + len <= LOG_MAX && fd_write_all(j->log, p, len) == 0)
		j->logged += len;
	if (buf_put(&j->line, p, len) < 0) {
		buf_clear(&j->line); /* a line without an end is of no use */
		return;
	}
	while ((nl = memchr(buf_head(&j->line), '\n', buf_len(&j->line)))) {
		size_t n = (size_t)(nl - buf_head(&j->line));

		snprintf(line, sizeof(line), "%.*s", (int)MIN(n, 500u),
			(const char *)buf_head(&j->line));
		buf_consume(&j->line, n + 1);
		on_line(j, line);
	}
}

static ssize_t read_tar(void *arg, const void **ret_p)
{
	struct shell_job *j = arg;
	ssize_t n =
		child_read(&j->child, j->chunk, sizeof(j->chunk), on_stderr, j);

	if (n > 0) {
		j->tar_bytes += (uint64_t)n;
		progress_count(j->p, "image", j->tar_bytes, 0,
			"%llu MiB, %llu entries, %llu s",
			(unsigned long long)j->tar_bytes >> 20,
			(unsigned long long)j->image.stats.entries, seconds(j));
	}
	j->eof = n == 0;
	*ret_p = j->chunk;
	return n;
}

/* The command line. */

/* What decides whether a template that is there is still the right one. */
static void set_recipe(struct shell_job *j)
{
	_cleanup_(digest_freep) struct digest *d = digest_new();

	digest_add(d, DEBIAN_SUITE, sizeof(DEBIAN_SUITE));
	digest_add(d, packages, sizeof(packages));
	digest_add(d, customize, sizeof(customize));
	for (size_t k = 0; k < ARRAY_SIZE(dpkg_options); k++)
		digest_add(d, dpkg_options[k], strlen(dpkg_options[k]) + 1);
	digest_hex(d, j->recipe);
}

static int make_args(struct shell_job *j, struct err *err)
{
	struct args *a = &j->args;
	int r;

	args_add(a, xstrdup("mmdebstrap"));
	args_add(a, xasprintf("--mode=%s", geteuid() ? "unshare" : "root"));
	args_add(a, xstrdup("--variant=minbase"));
	args_add(a, xstrdup("--format=tar"));
	args_add(a, xstrdup("--verbose"));
	args_add(a, xasprintf("--include=%s", packages));
	for (size_t k = 0; k < ARRAY_SIZE(apt_options); k++)
		args_add(a, xasprintf("--aptopt=%s", apt_options[k]));
	for (size_t k = 0; k < ARRAY_SIZE(dpkg_options); k++)
		args_add(a, xasprintf("--dpkgopt=%s", dpkg_options[k]));
	args_add(a, xasprintf("--customize-hook=%s", customize));
	r = debian_apt_options(a, err);
	if (r < 0)
		return r;
	args_add(a, xstrdup(DEBIAN_SUITE));
	args_add(a, xstrdup("-"));
	return debian_sources(a, err);
}

/*
 * Times in the image are clamped to this, so that equal packages give equal
 * images: SOURCE_DATE_EPOCH if it is set, else the last midnight.
 */
static void set_epoch(struct shell_job *j)
{
	_cleanup_free_ char *text = NULL;
	const char *given = getenv("SOURCE_DATE_EPOCH");

	if (given && *given)
		j->epoch = strtoll(given, NULL, 10);
	else
		j->epoch = time(NULL) / DAY * DAY;
	text = xasprintf("%lld", (long long)j->epoch);
	setenv("SOURCE_DATE_EPOCH", text, 1);
}

static int open_log(struct shell_job *j, struct err *err)
{
	j->log = openat(j->cache.fd, LOG_NAME,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (j->log < 0)
		return err_sys(
			err, errno, "cannot write %s/" LOG_NAME, j->cache.path);
	return 0;
}

/* The result. */

static json_t *make_meta(const struct shell_job *j, uint64_t n_packages)
{
	_cleanup_free_ char *now = job_time();
	json_t *sources = json_array();

	for (size_t k = 0; k < j->args.n; k++)
		if (strncmp(j->args.v[k], "deb [", 5) == 0)
			json_array_append_new(
				sources, json_string(j->args.v[k]));
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:[s,s], "
			 "s:s, s:I, s:I, s:s, s:o, s:s, s:s}",
		"name", NAME, "architecture", "amd64", "os", "linux", "env",
		"PATH",
		"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG", "C.UTF-8", "user", "agent", "workdir",
		"/home/agent/workspace", "entrypoint", "/bin/bash", "-l",
		"created", now, "source_date_epoch", (json_int_t)j->epoch,
		"packages", (json_int_t)n_packages, "builder", "mmdebstrap",
		"sources", sources, "suite", DEBIAN_SUITE, "recipe", j->recipe);
}

static int report(struct shell_job *j, const char *digest, bool cached)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", j->cache.path, digest);
	_cleanup_free_ char *text =
		xasprintf("template " NAME " %.12s ready in %s", digest, dir);

	progress_result(j->p,
		json_pack("{s:s, s:s, s:s, s:b}", "name", NAME, "digest",
			digest, "path", dir, "cached", cached),
		text);
	return 0;
}

static int fail(const struct shell_job *j, const struct shell_result *res,
	int r, struct err *err)
{
	if (res->last[0])
		return err_set(err, -r,
			"mmdebstrap failed: %.200s (more in "
			"%.150s/" LOG_NAME ")",
			res->last, j->cache.path);
	return r;
}

/* In the jailed worker: stream to image, and mmdebstrap's words to the end. */
static int fill(void *arg, void *ret, struct err *err)
{
	const struct layer_opts opts = {.devices = true};
	struct shell_result *res = ret;
	struct shell_job *j = arg;
	int r;

	template_image_init(&j->image, j->build.image, j->epoch);
	r = layer_apply(&j->image.tree, &j->image.erofs, &opts, read_tar, j,
		&j->image.stats, err);
	while ((r == 0 || j->eof) &&
		child_read(&j->child, j->chunk, sizeof(j->chunk), on_stderr,
			j) > 0)
		;
	if (r == 0)
		progress_say(j->p, "image", "writing %llu entries",
			(unsigned long long)j->image.tree.entries);
	if (r == 0)
		r = template_image_finish(&j->image, NAME, &res->image, err);
	res->packages = j->done;
	res->eof = j->eof;
	memcpy(res->last, j->last, sizeof(res->last));
	return r;
}

/*
 * Both ends can fail: when the stream ended by itself, mmdebstrap's status
 * says why; else it only died of the pipe that this end closed.
 */
static int pump(struct shell_job *j, struct shell_result *res, struct err *err)
{
	struct worker w = {.fn = fill, .arg = j};
	int r, status;

	worker_keep(&w, j->child.out);
	worker_keep(&w, j->child.err);
	worker_keep(&w, j->build.image);
	worker_keep(&w, j->log);
	r = worker_run(&w, res, sizeof(*res), err);
	res->last[sizeof(res->last) - 1] = '\0';
	if (r < 0 && !res->eof) {
		child_kill(&j->child);
		return r;
	}
	status = child_wait(&j->child, "mmdebstrap", r < 0 ? NULL : err);
	return status < 0 ? fail(j, res, status, err) : r;
}

static int build(struct shell_job *j, struct err *err)
{
	_cleanup_free_ char *digest = NULL;
	_cleanup_(json_decrefp) json_t *meta = NULL;
	struct shell_result res = {0};
	int r = debian_check_user(err);

	if (r == 0)
		r = debian_tmpdir(TMP_NEEDED, err);
	if (r == 0)
		r = cache_space(j->cache.path, CACHE_NEEDED, err);
	if (r == 0)
		r = make_args(j, err);
	if (r == 0)
		r = open_log(j, err);
	if (r < 0)
		return r;
	set_epoch(j);
	r = template_begin(&j->build, &j->cache, j->p, err);
	if (r == 0)
		r = child_start((const char *const *)j->args.v, NULL,
			"mmdebstrap", &j->child, err);
	if (r == 0)
		r = pump(j, &res, err);
	if (r < 0)
		return r;
	meta = make_meta(j, res.packages);
	r = template_commit(&j->build, NAME, &res.image, meta, &digest, err);
	return r < 0 ? r : report(j, digest, false);
}

/* The digest of a template that needs no build, or NULL. */
static char *find_ready(struct shell_job *j)
{
	_cleanup_free_ char *digest = template_resolve(&j->cache, NAME);
	_cleanup_free_ char *path = NULL;
	_cleanup_(json_decrefp) json_t *meta = NULL;
	const char *recipe;

	if (!digest || template_check_quick(&j->cache, digest, NULL) < 0)
		return NULL;
	path = xasprintf("%s/meta.json", digest);
	meta = cache_read_json(j->cache.fd, path);
	recipe = json_string_value(json_object_get(meta, "recipe"));
	if (!recipe || !streq(recipe, j->recipe))
		return NULL;
	return TAKE_PTR(digest);
}

static int run(struct shell_job *j, const struct job_opts *o, struct err *err)
{
	_cleanup_free_ char *digest = o->rebuild ? NULL : find_ready(j);
	int r;

	if (digest)
		return report(j, digest, true);
	r = cache_lock(&j->cache, job_on_wait, j->p, err);
	if (r < 0)
		return r;
	/* another job may just have built it */
	digest = o->rebuild ? NULL : find_ready(j);
	return digest ? report(j, digest, true) : build(j, err);
}

int job_shell(const struct job_opts *o, struct progress *p, struct err *err)
{
	struct shell_job *j = xnew(struct shell_job);
	int r;

	j->p = p;
	j->cache = (struct cache)CACHE_NONE;
	j->child = (struct child){.out = -1, .err = -1};
	j->build.image = j->build.tmp_fd = j->log = -1;
	j->start_ms = now_ms();
	buf_init(&j->line, 64 * KIB);
	set_recipe(j);
	r = cache_open(&j->cache, "templates", err);
	if (r == 0)
		r = run(j, o, err);
	child_kill(&j->child);
	template_abort(&j->build);
	closep(&j->log);
	buf_done(&j->line);
	args_done(&j->args);
	cache_done(&j->cache);
	free(j);
	return r;
}
