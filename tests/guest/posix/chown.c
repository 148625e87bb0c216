/* SPDX-License-Identifier: Apache-2.0 */
/* chown as an ordinary user may use it. */
#include "check.h"

int main(int argc, char **argv)
{
	uid_t me = geteuid();
	gid_t group = getegid();
	struct stat st;
	int fd;

	start(argc, argv, "chown");
	must(put("f", "x") && mkdir("d", 0755) == 0 && symlink("f", "s") == 0,
		"setup");
	OK(stat("f", &st) == 0 && st.st_uid == me, "a new file is mine");
	OK(st.st_gid == group, "and of my group");
	OK(stat("d", &st) == 0 && st.st_uid == me, "so is a directory");
	OK(lstat("s", &st) == 0 && st.st_uid == me, "so is a symlink");
	OK(chown("f", me, group) == 0, "chown to what it is");
	OK(chown("f", (uid_t)-1, (gid_t)-1) == 0, "chown of nothing");
	OK(chown("f", me, (gid_t)-1) == 0, "chown of the user only");
	OK(chown("f", (uid_t)-1, group) == 0, "chown of the group only");
	OK(lchown("s", me, group) == 0, "lchown");
	fd = open("f", O_RDWR);
	OK(fchown(fd, me, group) == 0, "fchown");
	close(fd);
	FAILS(chown("none", me, group), ENOENT, "chown of nothing there");
	if (me != 0) {
		FAILS(chown("f", 0, 0), EPERM, "give it to root");
		FAILS(chown("f", me + 1, (gid_t)-1), EPERM,
			"give it to another user");
		FAILS(chown("f", (uid_t)-1, group + 4321), EPERM,
			"give it to a strange group");
		FAILS(lchown("s", 0, 0), EPERM, "give a symlink away");
	}
	OK(chmod("f", 06755) == 0 && chown("f", me, group) == 0,
		"chown of a set-uid file");
	if (me != 0)
		SAME(mode_of("f"), 0755, "takes the bits away");
	OK(stat("f", &st) == 0 && st.st_uid == me && st.st_gid == group,
		"it is still mine");
	return finish();
}
