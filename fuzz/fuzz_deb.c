/* SPDX-License-Identifier: Apache-2.0 */
/* A package of the user: kernel and modules out of an ar of a tar. */
#include "image/deb.h"

#include "base/fd.h"

#include <assert.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("deb", MFD_CLOEXEC);
	struct modules mods = {0};
	struct blob image = {0};
	struct err err = {0};
	int r;

	assert(fd >= 0);
	r = fd_write_all(fd, data, size);
	assert(r == 0);
	lseek(fd, 0, SEEK_SET);
	r = deb_kernel(fd, &image, &mods, &err);
	assert(r == 0 ? image.p && image.len : err.code == -r);
	blob_done(&image);
	modules_done(&mods);
	return 0;
}
