/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml - writes the few words of ACPI machine language that our DSDT needs
 * (ACPI 6.4, chapter 20). Input is our own; running out of room is a bug.
 */
#ifndef VMM_AML_H
#define VMM_AML_H

#include "base/util.h"

struct aml {
	uint8_t *p;
	size_t used;
	size_t cap;
};

/* Each opens a block and returns a mark for aml_end(). Names: 4 characters. */
size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *name);
void aml_end(struct aml *a, size_t mark);

void aml_name_int(struct aml *a, const char *name, uint32_t value);
void aml_name_str(struct aml *a, const char *name, const char *value);
/* "PNP0501" as a compressed EISA id. */
void aml_name_eisa(struct aml *a, const char *name, const char *id);
/* A sleep state: the value for the sleep control register. */
void aml_name_sleep(struct aml *a, const char *name, uint8_t type);

/* _CRS: the resources between begin and end. */
size_t aml_crs_begin(struct aml *a);
void aml_crs_mem(struct aml *a, uint32_t base, uint32_t len);
void aml_crs_io(struct aml *a, uint16_t base, uint8_t len);
/* Edge triggered, active high, not shared. */
void aml_crs_irq(struct aml *a, uint32_t gsi);
void aml_crs_end(struct aml *a, size_t mark);

#endif
