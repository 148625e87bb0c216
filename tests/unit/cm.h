/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cm - cmocka with the headers it wants before it, and the checks that every
 * room repeats. A test program sees the tree as a library does: "dir/file.h".
 */
#ifndef TESTS_UNIT_CM_H
#define TESTS_UNIT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define run_tests(tests) cmocka_run_group_tests(tests, NULL, NULL)

#endif
