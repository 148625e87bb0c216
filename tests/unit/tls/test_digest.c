/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "tls/digest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* FIPS 180-2, appendix B */
static const char of_abc[] =
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char of_nothing[] =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void test_known(void **state)
{
	char hex[SHA256_HEX];

	digest_of("abc", 3, hex);
	assert_string_equal(hex, of_abc);
	digest_of(NULL, 0, hex);
	assert_string_equal(hex, of_nothing);
}

static void test_pieces(void **state)
{
	_cleanup_(digest_freep) struct digest *d = digest_new();
	char hex[SHA256_HEX];

	digest_add(d, "a", 1);
	digest_add(d, "", 0);
	digest_add(d, "bc", 2);
	digest_hex(d, hex);
	assert_string_equal(hex, of_abc);
}

static void test_file(void **state)
{
	_cleanup_close_ int fd = memfd_create("t", MFD_CLOEXEC);
	_cleanup_free_ char *big = xcalloc(1, 700001);
	char of_file[SHA256_HEX], of_memory[SHA256_HEX];

	memset(big, 'x', 700001);
	assert_int_equal(write(fd, big, 700001), 700001);
	/* from the start, wherever the descriptor stands */
	assert_int_equal(digest_of_fd(fd, of_file), 0);
	digest_of(big, 700001, of_memory);
	assert_string_equal(of_file, of_memory);
	assert_int_equal(digest_of_fd(-1, of_file), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
