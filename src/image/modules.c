/* SPDX-License-Identifier: Apache-2.0 */
#include "image/modules.h"

#include "image/kernel_elf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32
#define NAME_MAX_ 64

void modules_done(struct modules *m)
{
	for (size_t k = 0; k < m->n; k++) {
		free(m->v[k].name);
		free(m->v[k].file);
		free(m->v[k].p);
	}
	free(m->v);
	free(m->builtin);
	*m = (struct modules){0};
}

void module_list_done(struct module_list *l)
{
	free(l->v);
	*l = (struct module_list){0};
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Length of the name before ".ko" and a known compression; 0 if none. */
static size_t stem(const char *path)
{
	static const char *const ends[] = {
		".ko", ".ko.xz", ".ko.gz", ".ko.zst"};
	const char *name = base_name(path);
	size_t len = strlen(name);

	for (size_t k = 0; k < ARRAY_SIZE(ends); k++) {
		size_t n = strlen(ends[k]);

		if (len > n && len - n < NAME_MAX_ &&
			streq(name + len - n, ends[k]))
			return len - n;
	}
	return 0;
}

bool modules_is_file(const char *path)
{
	return stem(path) > 0;
}

static void canonical(char *name)
{
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
}

int modules_add(struct modules *m, const char *path, uint8_t *p, size_t len,
	struct err *err)
{
	_cleanup_free_ uint8_t *own = p;
	size_t n = stem(path);
	struct module *mod;

	if (n == 0)
		return err_set(err, EINVAL, "%.100s is no module", path);
	if (m->n >= MODULES_N_MAX || len > MODULES_MAX - m->bytes)
		return err_set(err, EFBIG, "too many kernel modules");
	m->v = xrealloc(m->v, m->n + 1, sizeof(*m->v));
	mod = &m->v[m->n++];
	*mod = (struct module){
		.name = xstrndup(base_name(path), n),
		.file = xstrndup(base_name(path), n),
		.p = TAKE_PTR(own),
		.len = len,
	};
	canonical(mod->name);
	m->bytes += len;
	return 0;
}

/* modules.builtin has lines "kernel/fs/ext4/ext4.ko". */
bool modules_is_builtin(const struct modules *m, const char *name)
{
	const char *line = m->builtin;

	while (line && *line) {
		size_t len = strcspn(line, "\n");
		_cleanup_free_ char *one = xstrndup(line, len);
		char *file = one + (base_name(one) - one);
		size_t n = stem(file);

		if (n > 0) {
			file[n] = '\0';
			canonical(file);
			if (streq(file, name))
				return true;
		}
		line += len + (line[len] == '\n');
	}
	return false;
}

/* .modinfo */

const char *module_info(
	const uint8_t *p, size_t len, const char *key, size_t *at)
{
	size_t n, key_len = strlen(key);
	const char *info;
	Elf64_Shdr s;
	uint64_t head;

	if (!elf_section(p, len, ".modinfo", &s, &head))
		return NULL;
	info = (const char *)p + s.sh_offset;
	n = s.sh_size;
	while (*at < n) {
		const char *one = info + *at;
		size_t one_len = strnlen(one, n - *at);

		if (one_len == n - *at)
			return NULL; /* the last string has no end */
		*at += one_len + 1;
		if (one_len > key_len && one[key_len] == '=' &&
			memcmp(one, key, key_len) == 0)
			return one + key_len + 1;
	}
	return NULL;
}

/* What loading does not need. */

/* scripts/sign-file.c: at the end, the signature, 12 bytes, these words. */
static void cut_signature(const uint8_t *p, size_t *len)
{
	static const char words[] = "~Module signature appended~\n";
	size_t n = sizeof(words) - 1, sig;
	const uint8_t *l;

	if (*len < n + 12 || memcmp(p + *len - n, words, n) != 0)
		return;
	l = p + *len - n - 4; /* big-endian */
	sig = (size_t)l[0] << 24 | (size_t)l[1] << 16 | (size_t)l[2] << 8 |
		l[3];
	if (sig <= *len - n - 12)
		*len -= n + 12 + sig;
}

void module_strip(uint8_t *p, size_t *len)
{
	Elf64_Shdr s;
	uint64_t at;

	cut_signature(p, len);
	if (!elf_section(p, *len, ".BTF", &s, &at))
		return;
	/* still there, but nothing that anybody looks for or loads */
	s.sh_name = 0;
	s.sh_type = SHT_NOBITS;
	s.sh_size = 0;
	s.sh_flags = 0;
	memcpy(p + at, &s, sizeof(s));
}

/* Selecting. */

static struct module *find(struct modules *m, const char *name)
{
	for (size_t k = 0; k < m->n; k++)
		if (streq(m->v[k].name, name))
			return &m->v[k];
	return NULL;
}

static bool is_elf(const uint8_t *p, size_t len)
{
	return len >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) == 0;
}

static int expand(struct module *mod, struct err *err)
{
	struct blob b = {0};
	int r;

	if (is_elf(mod->p, mod->len))
		return 0;
	r = blob_decompress(mod->p, mod->len, MODULE_MAX, &b, err);
	if (r < 0)
		return err_wrap(err, "module %s", mod->name);
	if (!is_elf(b.p, b.len)) {
		blob_done(&b);
		return err_set(err, EBADMSG, "module %s is damaged", mod->name);
	}
	free(mod->p);
	mod->p = b.p;
	mod->len = b.len;
	return 0;
}

struct select {
	struct modules *m;
	struct module_list *list;
};

static int place(
	struct select *s, struct module *mod, int depth, struct err *err);

/* Names separated by ',' or ' '; with pre, only those after "pre:". */
static int place_names(struct select *s, const char *names, bool pre, int depth,
	struct err *err)
{
	_cleanup_free_ char *text = xstrdup(names);
	bool on = !pre;
	int r = 0;

	for (char *save, *one = strtok_r(text, ", ", &save); one && r == 0;
		one = strtok_r(NULL, ", ", &save)) {
		struct module *dep;

		if (strchr(one, ':')) {
			on = pre && streq(one, "pre:");
			continue;
		}
		canonical(one);
		dep = on ? find(s->m, one) : NULL;
		if (dep)
			r = place(s, dep, depth + 1, err);
	}
	return r;
}

static int place(
	struct select *s, struct module *mod, int depth, struct err *err)
{
	const char *v;
	size_t at = 0;
	int r;

	if (mod->placed)
		return 0;
	if (depth > DEPTH_MAX)
		return err_set(err, ELOOP, "modules depend on each other: %s",
			mod->name);
	/* before its dependencies, so that a circle ends */
	mod->placed = true;
	r = expand(mod, err);
	if (r < 0)
		return r;
	while (r == 0 && (v = module_info(mod->p, mod->len, "softdep", &at)))
		r = place_names(s, v, true, depth, err);
	at = 0;
	while (r == 0 && (v = module_info(mod->p, mod->len, "depends", &at)))
		r = place_names(s, v, false, depth, err);
	if (r < 0)
		return r;
	s->list->v =
		xrealloc(s->list->v, s->list->n + 1, sizeof(struct module *));
	s->list->v[s->list->n++] = mod;
	return 0;
}

int modules_select(struct modules *m, const char *const *want, size_t n_want,
	struct module_list *list, size_t *ret_missing, struct err *err)
{
	struct select s = {.m = m, .list = list};
	size_t missing = 0;

	for (size_t k = 0; k < n_want; k++) {
		struct module *mod = find(m, want[k]);
		int r;

		if (!mod) {
			missing += !modules_is_builtin(m, want[k]);
			continue;
		}
		r = place(&s, mod, 0, err);
		if (r < 0)
			return r;
	}
	*ret_missing = missing;
	return 0;
}
