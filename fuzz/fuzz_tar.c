/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers to an image: the first byte has options, the second the length of
 * the first layer in blocks of 512 bytes; what follows are one or two archives.
 * An image that comes out is read back by a reader that asserts what the
 * kernel relies on.
 */
#include "image/tar.h"

#include <assert.h>
#include <sys/stat.h>

#define IMAGE_MAX (4 * MIB)

static void read_back(const struct image *img)
{
	size_t n = er_walk(&img->er, NULL, NULL);

	assert(n + 1 <= img->tree.entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tree_limits limits = {500, 256 * KIB};
	struct err err = {0};
	struct image img;
	size_t first;
	int r;

	if (size < 2)
		return 0;
	first = MIN((size_t)data[1] * 512, size - 2);
	image_init(&img, &limits, IMAGE_MAX);
	img.opts.whiteouts = data[0] & 1;
	img.opts.devices = data[0] & 2;
	data += 2;
	size -= 2;
	r = image_layer(&img, data, first ? first : size, &err);
	if (r == 0 && first)
		r = image_layer(&img, data + first, size - first, &err);
	if (r == 0)
		r = image_finish(&img, &err);
	if (r == 0)
		read_back(&img);
	else
		assert(err.code == -r && err.text[0]);
	image_done(&img);
	return 0;
}
