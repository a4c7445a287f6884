/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How `sallyport selftest` tells the daemon its result: in a file in appliance.run_directory, whose
 * first line is "good", or "failed: CHECK, CHECK". */
#ifndef SUPERVISE_SELFTEST_WORD_H
#define SUPERVISE_SELFTEST_WORD_H

#define SELFTEST_FILE	     "selftest"
#define SELFTEST_GOOD_WORD   "good"
#define SELFTEST_FAILED_WORD "failed: "

#endif
