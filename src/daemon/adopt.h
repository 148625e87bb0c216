/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt - makes the store and the machine agree when coved starts: engines that
 * run are taken over, what was under way is rolled back, helpers of the coved
 * before are ended, and what belongs to nobody is removed.
 */
#ifndef DAEMON_ADOPT_H
#define DAEMON_ADOPT_H

#include "daemon/daemon.h"

int adopt(struct daemon *d, struct err *err);

#endif
