/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/system.h"

#include "base/fd.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <time.h>

#include <linux/random.h>

#define ENTROPY_MAX 512u

uint64_t system_uptime_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void system_set_clock(uint64_t realtime_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(realtime_ns / 1000000000u),
		.tv_nsec = (long)(realtime_ns % 1000000000u),
	};

	if (realtime_ns && clock_settime(CLOCK_REALTIME, &ts) < 0)
		log_warn("set the clock: %s", strerror(errno));
}

void system_add_entropy(const void *p, size_t len)
{
	_cleanup_close_ int fd = open("/dev/random", O_RDWR | O_CLOEXEC);
	struct {
		int bits;
		int bytes;
		uint8_t data[ENTROPY_MAX];
	} pool = {0};

	_Static_assert(offsetof(struct rand_pool_info, buf) == 8, "layout");
	len = MIN(len, sizeof(pool.data));
	memcpy(pool.data, p, len);
	pool.bytes = (int)len;
	pool.bits = (int)len * 8;
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0)
		log_warn("add entropy: %s", strerror(errno));
	explicit_bzero(&pool, sizeof(pool));
}

void system_set_hostname(const char *name)
{
	if (sethostname(name, strlen(name)) < 0)
		log_warn("set the host name: %s", strerror(errno));
}

void system_loopback_up(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {
		.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		log_warn("loopback: %s", strerror(errno));
}

static uint64_t meminfo(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtoull(p + strlen(key), NULL, 10) * KIB : 0;
}

void system_memory(uint64_t *ret_total, uint64_t *ret_available)
{
	_cleanup_free_ char *text = NULL;

	*ret_total = *ret_available = 0;
	if (fd_slurp_at(AT_FDCWD, "/proc/meminfo", 64 * KIB, &text) < 0)
		return;
	*ret_total = meminfo(text, "MemTotal:");
	*ret_available = meminfo(text, "MemAvailable:");
}

uint64_t system_disk_free(const char *dir)
{
	struct statvfs st;

	if (statvfs(dir, &st) < 0)
		return UINT64_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

_Noreturn void system_power_off(void)
{
	(void)reboot(RB_POWER_OFF);
	/* No ACPI: with reboot=t a reset ends a machine started -no-reboot. */
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
