/* SPDX-License-Identifier: Apache-2.0 */
#include "image/job.h"

#include <time.h>

char *job_time(void)
{
	char text[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return xstrdup(text);
}

void job_on_wait(void *progress)
{
	progress_say(progress, "wait", "another job is at work here");
}
