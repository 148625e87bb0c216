/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line per event on stderr: "<priority>" when stderr is not a
 * terminal, then the message, then key=value pairs that the caller formats.
 * Keeps errno. Libraries log at debug only; whoever stops an error logs it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/util.h"

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* name is kept, not copied. COVE_LOG=error|warn|info|debug overrides level. */
void log_init(const char *name, enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...) log_write(LOG_L_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_L_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_L_DEBUG, __VA_ARGS__)

#endif
