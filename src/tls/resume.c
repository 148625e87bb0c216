/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/internal.h"

#include <string.h>
#include <time.h>

#define SLOTS 64u
#define EACH 2u /* a server usually sends two */
#define TICKET_MAX 4096u

struct slot {
	char *key;
	SSL_SESSION *sessions[EACH]; /* the newest last */
	time_t until[EACH];
};

struct resume {
	struct slot slots[SLOTS]; /* a hash table, one key for each slot */
};

static void forget(struct slot *s)
{
	for (size_t i = 0; i < EACH; i++)
		SSL_SESSION_free(s->sessions[i]);
	free(s->key);
	*s = (struct slot){NULL};
}

struct resume *resume_new(void)
{
	return xnew(struct resume);
}

void resume_free(struct resume *r)
{
	for (size_t i = 0; r && i < SLOTS; i++)
		forget(&r->slots[i]);
	free(r);
}

void resume_keep(
	struct resume *r, const char *key, SSL_SESSION *session, time_t until)
{
	struct slot *s = &r->slots[tls_hash(key) % SLOTS];
	const unsigned char *ticket;
	size_t len;

	SSL_SESSION_get0_ticket(session, &ticket, &len);
	if (SSL_SESSION_get_protocol_version(session) != TLS1_3_VERSION ||
		len == 0 || len > TICKET_MAX || time(NULL) >= until) {
		SSL_SESSION_free(session);
		return;
	}
	if (!s->key || !streq(s->key, key)) {
		forget(s);
		s->key = xstrdup(key);
	}
	SSL_SESSION_free(s->sessions[0]);
	memmove(s->sessions, s->sessions + 1,
		(EACH - 1) * sizeof(s->sessions[0]));
	memmove(s->until, s->until + 1, (EACH - 1) * sizeof(s->until[0]));
	s->sessions[EACH - 1] = session;
	s->until[EACH - 1] = until;
}

SSL_SESSION *resume_take(struct resume *r, const char *key, time_t *ret_until)
{
	struct slot *s = &r->slots[tls_hash(key) % SLOTS];

	if (!s->key || !streq(s->key, key))
		return NULL;
	for (size_t i = EACH; i-- > 0;) {
		if (!s->sessions[i])
			continue;
		if (time(NULL) >= s->until[i]) {
			forget(s);
			return NULL;
		}
		*ret_until = s->until[i];
		return TAKE_PTR(s->sessions[i]);
	}
	return NULL;
}
