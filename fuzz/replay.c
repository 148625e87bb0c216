/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - main() of a harness outside a libFuzzer build: runs it once on
 * every file of the directories and files named as arguments. An empty corpus
 * is a failure, so that a forgotten one is noticed.
 */
#include "base/fd.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define INPUT_MAX (16 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_file(int dirfd, const char *name)
{
	_cleanup_free_ char *data = NULL;
	_cleanup_free_ uint8_t *exact = NULL;
	ssize_t n = fd_slurp_at(dirfd, name, INPUT_MAX, &data);

	if (n < 0)
		errx(1, "%s: %s", name, strerror((int)-n));
	/* Without the NUL, so that the sanitizer sees one byte too many. */
	exact = xcalloc((size_t)n, 1);
	memcpy(exact, data, (size_t)n);
	LLVMFuzzerTestOneInput(exact, (size_t)n);
}

static unsigned int run_dir(DIR *dir)
{
	const struct dirent *e;
	unsigned int n = 0;

	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		run_file(dirfd(dir), e->d_name);
		n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	unsigned int n = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (dir) {
			n += run_dir(dir);
			closedir(dir);
		} else {
			run_file(AT_FDCWD, argv[i]);
			n++;
		}
	}
	if (!n)
		errx(1, "no inputs");
	printf("%u inputs\n", n);
	return 0;
}
