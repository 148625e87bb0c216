/* SPDX-License-Identifier: Apache-2.0 */
/* The jailed process: what it may do, what it dies of, what it hands over. */
#include "cm.h"
#include "image/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

struct result {
	int number;
	char text[32];
};

static int run(
	worker_fn *fn, void *arg, int fd, struct result *ret, struct err *err)
{
	struct worker w = {.fn = fn, .arg = arg};

	*err = (struct err){0};
	worker_keep(&w, fd);
	return worker_run(&w, ret, sizeof(*ret), err);
}

static int answer(void *arg, void *ret, struct err *err)
{
	struct result *r = ret;

	r->number = *(int *)arg + 1;
	memcpy(r->text, "done", 5);
	*(int *)arg = 0; /* its own copy */
	return 0;
}

static void test_answer(void **state)
{
	struct result res = {.number = 7};
	struct err err;
	int arg = 41;

	assert_int_equal(run(answer, &arg, -1, &res, &err), 0);
	assert_int_equal(res.number, 42);
	assert_string_equal(res.text, "done");
	assert_int_equal(arg, 41);
}

static int refuse(void *arg, void *ret, struct err *err)
{
	((struct result *)ret)->number = 5;
	return err_set(err, EFBIG, "too \033[31mlarge\n");
}

static void test_refusal(void **state)
{
	struct result res;
	struct err err;

	assert_int_equal(run(refuse, NULL, -1, &res, &err), -EFBIG);
	/* nothing that a terminal would obey */
	assert_string_equal(err.text, "too ?[31mlarge?");
	assert_int_equal(res.number, 5);
}

static int use_fd(void *arg, void *ret, struct err *err)
{
	struct result *r = ret;

	r->number = (int)pread(*(int *)arg, r->text, 5, 0);
	return 0;
}

static void test_descriptors(void **state)
{
	_cleanup_close_ int fd = memfd_create("t", MFD_CLOEXEC);
	struct result res;
	struct err err;

	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(run(use_fd, &fd, fd, &res, &err), 0);
	assert_int_equal(res.number, 5);
	assert_string_equal(res.text, "hello");
	/* one that it was not given is closed */
	assert_int_equal(run(use_fd, &fd, -1, &res, &err), 0);
	assert_int_equal(res.number, -1);
}

/* Each of these is death. */

static int do_open(void *arg, void *ret, struct err *err)
{
	return open("/etc/passwd", O_RDONLY) < 0 ? -1 : 0;
}

static int do_exec(void *arg, void *ret, struct err *err)
{
	execl("/bin/true", "true", NULL);
	return 0;
}

static int do_socket(void *arg, void *ret, struct err *err)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? -1 : 0;
}

static int do_fork(void *arg, void *ret, struct err *err)
{
	if (fork() == 0)
		_exit(0);
	return 0;
}

static int do_kill(void *arg, void *ret, struct err *err)
{
	return kill(getppid(), 0);
}

static int do_exec_memory(void *arg, void *ret, struct err *err)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static int do_abort(void *arg, void *ret, struct err *err)
{
	abort();
}

static void test_death(void **state)
{
	static worker_fn *const fns[] = {do_open, do_exec, do_socket, do_fork,
		do_kill, do_exec_memory, do_abort};

	for (size_t k = 0; k < ARRAY_SIZE(fns); k++) {
		struct result res = {.number = 3};
		struct err err;

		assert_int_equal(run(fns[k], NULL, -1, &res, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "ended by signal"));
		assert_int_equal(res.number, 0);
	}
}

#ifndef __SANITIZE_ADDRESS__ /* which maps terabytes itself: no limit there */
/* A page in 64: the limit is on addresses, the host's memory is spared. */
static int do_hog(void *arg, void *ret, struct err *err)
{
	for (int k = 0; k < 64; k++) {
		char *p = xcalloc(1, 128 * MIB);

		p[0] = 1;
	}
	return 0;
}

static void test_memory(void **state)
{
	struct result res;
	struct err err;

	assert_int_equal(run(do_hog, NULL, -1, &res, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "out of memory"));
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_death),
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(test_memory),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
