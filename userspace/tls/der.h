/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DER, the one encoding of ASN.1 that strict readers of certificates take (X.690). */
#ifndef TLS_DER_H
#define TLS_DER_H

#include <stddef.h>

#include "base/slice.h"

/* NULL: the bytes are exactly one value in DER, as far as that shows without its ASN.1 module
 * (X.690 sections 8, 10 and 11): what an implicit tag hides and defaults that are written out do
 * not show. Else what is wrong with it, to follow "it is not DER: ", and the offset of the value
 * that is. The work is linear in the length. */
const char *der_problem(struct slice bytes, size_t *offset);

#endif
