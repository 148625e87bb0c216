/* SPDX-License-Identifier: Apache-2.0 */
/* cove-image verify: is the template what it was when it was made? */
#include "image/job.h"
#include "image/template.h"

#include <errno.h>

static int run(const struct job_opts *o, const struct cache *c,
	const char *what, struct progress *p, struct err *err)
{
	_cleanup_free_ char *digest = template_resolve(c, what);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!digest)
		return err_set(err, ENOENT, "no template '%.100s' in %s", what,
			c->path);
	progress_say(p, "verify", "%.12s", digest);
	r = o->quick ? template_check_quick(c, digest, err)
		     : template_check(c, digest, err);
	if (r < 0)
		return r;
	text = xasprintf("template %.12s is as it was made", digest);
	progress_result(p,
		json_pack("{s:s, s:b}", "digest", digest, "full", !o->quick),
		text);
	return 0;
}

int job_verify(const struct job_opts *o, struct progress *p, struct err *err)
{
	struct cache c = CACHE_NONE;
	int r = cache_open(&c, "templates", err);

	if (r == 0)
		r = run(o, &c, o->operand, p, err);
	cache_done(&c);
	return r;
}
