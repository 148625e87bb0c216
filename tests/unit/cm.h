/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cm - cmocka with the headers it wants before it. Main of a test program is
 * one table and cmocka_run_group_tests().
 */
#ifndef TESTS_UNIT_CM_H
#define TESTS_UNIT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
