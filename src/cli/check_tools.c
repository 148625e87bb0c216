/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: the engine, and the programs that prepare images and disks. */
#include "base/fd.h"
#include "cli/check.h"
#include "cli/text.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static void add_probe(struct checks *c, const char *answer)
{
	json_t *o = answer ? json_loads(answer, 0, NULL) : NULL;
	const char *why = jstr(o, "why");

	if (!json_is_boolean(json_object_get(o, "usable")))
		check_add(c, "kvm", CHECK_WARN, NULL,
			"/dev/kvm is there, but the probe gave no answer; QEMU "
			"will emulate");
	else if (json_is_true(json_object_get(o, "usable")))
		check_add(c, "kvm", CHECK_OK, NULL,
			"/dev/kvm runs a stock kernel; engine cove-vmm, "
			"isolation kvm (hardware virtualization)");
	else
		check_add(c, "kvm", CHECK_WARN,
			"none needed: QEMU emulates, more slowly; a host or "
			"cloud machine with nested virtualization is faster",
			"/dev/kvm is there, but %s; engine qemu, isolation tcg "
			"(software emulation: not a hardened boundary)",
			why);
	json_decref(o);
}

static void probe(struct checks *c)
{
	_cleanup_free_ char *vmm = NULL;

	if (paths_program("cove-vmm", &vmm, NULL) < 0) {
		check_add(c, "kvm", CHECK_OK, NULL,
			"/dev/kvm is there (this installation has no engine "
			"that uses it)");
		return;
	}
	const char *const argv[] = {vmm, "--probe", "--json", NULL};
	_cleanup_free_ char *answer = check_output(argv);
	add_probe(c, answer);
}

void check_kvm(struct checks *c)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		probe(c);
	else if (errno == EACCES || errno == EPERM)
		check_add(c, "kvm", CHECK_WARN,
			"sudo usermod -aG kvm $USER, then log in again",
			"/dev/kvm is there, but this user may not open it; "
			"QEMU will emulate");
	else
		check_add(c, "kvm", CHECK_WARN,
			"turn virtualization on in the firmware (or nested "
			"virtualization of the cloud machine), then: sudo "
			"modprobe kvm_intel || sudo modprobe kvm_amd",
			"no usable /dev/kvm (%s); QEMU will emulate, more "
			"slowly",
			strerror(errno));
}

void check_qemu(struct checks *c)
{
	_cleanup_free_ char *qemu = check_program("qemu-system-x86_64");

	if (!qemu) {
		check_add(c, "qemu", CHECK_MISSING,
			"sudo apt install qemu-system-x86",
			"qemu-system-x86_64 is not installed");
		return;
	}
	const char *const argv[] = {qemu, "--version", NULL};
	_cleanup_free_ char *version = check_output(argv);
	if (version)
		check_add(c, "qemu", CHECK_OK, NULL, "%s", version);
	else
		check_add(c, "qemu", CHECK_MISSING,
			"sudo apt install --reinstall qemu-system-x86",
			"%s does not run", qemu);
}

static void add_tool(struct checks *c, const char *name, const char *package,
	enum check_level without, const char *purpose)
{
	_cleanup_free_ char *path = check_program(name);
	_cleanup_free_ char *fix = xasprintf("sudo apt install %s", package);

	if (path)
		check_add(c, name, CHECK_OK, NULL, "%s", path);
	else
		check_add(c, name, without, fix, "not installed; needed to %s",
			purpose);
}

void check_disk_tools(struct checks *c)
{
	add_tool(c, "mke2fs", "e2fsprogs", CHECK_MISSING,
		"make the sandboxes' disks");
}

/* Only building the template needs it. */
void check_image_tools(struct checks *c)
{
	add_tool(c, "mmdebstrap", "mmdebstrap", CHECK_WARN,
		"build the shell template");
}

/* "name:first:count" or "uid:first:count" with a count that is enough. */
static bool has_range(const char *file, const char *name, uid_t uid)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *number = xasprintf("%u", uid);
	char *save = NULL;

	if (fd_slurp_at(AT_FDCWD, file, 1024 * 1024, &text) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		const char *colon = strchr(line, ':');
		const char *last = strrchr(line, ':');
		if (!colon || last == colon)
			continue;
		size_t n = (size_t)(colon - line);
		bool ours = (strlen(name) == n && !strncmp(line, name, n)) ||
			(strlen(number) == n && !strncmp(line, number, n));
		if (ours && strtoll(last + 1, NULL, 10) >= 65536)
			return true;
	}
	return false;
}

void check_subids(struct checks *c)
{
	uid_t uid = getuid();
	const struct passwd *pw = getpwuid(uid);
	const char *name = pw ? pw->pw_name : "";

	if (uid == 0) {
		check_add(c, "subuid", CHECK_OK, NULL, "not needed by root");
		return;
	}
	add_tool(c, "newuidmap", "uidmap", CHECK_WARN,
		"build templates as this user");
	if (has_range("/etc/subuid", name, uid) &&
		has_range("/etc/subgid", name, uid)) {
		check_add(c, "subuid", CHECK_OK, NULL,
			"this user has subordinate uids and gids");
		return;
	}
	_cleanup_free_ char *fix =
		xasprintf("sudo usermod --add-subuids "
			  "100000-165535 --add-subgids 100000-165535 %s",
			name);
	check_add(c, "subuid", CHECK_WARN, fix,
		"no 65536 subordinate uids and gids in /etc/subuid and "
		"/etc/subgid; without them the shell template cannot be built "
		"here");
}
