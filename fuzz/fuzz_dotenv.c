/* SPDX-License-Identifier: Apache-2.0 */
/* A .env file out of anybody's repository. */
#include "cli/dotenv.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct dotenv d = {NULL, 0};
	struct err err = {0};

	if (dotenv_parse(text, &d, &err) == 0) {
		assert(d.n <= DOTENV_LINES_MAX);
		for (size_t i = 0; i < d.n; i++) {
			char *eq = strchr(d.pair[i], '=');

			assert(eq && eq > d.pair[i]);
			assert(strlen(d.pair[i]) <= strlen(text) + 1);
			*eq = '\0';
			assert(strcspn(d.pair[i], " \t\r\n\"'#") ==
				strlen(d.pair[i]));
			*eq = '=';
		}
		dotenv_done(&d);
	} else {
		assert(d.n == 0 && err.text[0]);
	}
	free(text);
	return 0;
}
