/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the daemon tells `sallyport upgrade` what came of the last upgrade: in a file in
 * appliance.run_directory, one line, "done VERSION" or "refused REASON". */
#ifndef SUPERVISE_UPGRADE_WORD_H
#define SUPERVISE_UPGRADE_WORD_H

#define UPGRADE_WORD_FILE    "upgrade"
#define UPGRADE_WORD_DONE    "done "
#define UPGRADE_WORD_REFUSED "refused "

#endif
