// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/open_period.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervise/accounting.h"

static void keep(const struct open_period *period, const char *directory)
{
	struct why why = {""};

	if (open_record_write(directory, &period->record, &why))
		log_warning("sallyport status cannot tell what passed unseen: %s", why.text);
}

static void opened(struct open_period *period, uint64_t begin_ns)
{
	period->open = true;
	period->record.begin_ns = begin_ns;
	period->record.end_ns = 0;
	period->record.passed = 0;
}

bool open_period_begin(struct open_period *period, const char *directory, uint64_t total,
	uint64_t alive_ns)
{
	*period = (struct open_period){.record = open_record_read(directory)};
	/* It counts anew when its maps were taken away. */
	if (total < period->record.total)
		period->record.total = 0;
	if (period->record.begin_ns && !period->record.end_ns)
		period->open = true; /* as the daemon before left it */
	else if (total > period->record.total)
		opened(period, alive_ns);
	return period->open;
}

void open_period_look(struct open_period *period, const char *directory, bool open,
	uint64_t open_ns, uint64_t total, struct counters *counters, struct accounting *accounting)
{
	struct open_record *record = &period->record;
	bool was_open = period->open;

	/* What passed between the last look and this one belongs to the time that begins. */
	if (!was_open && (open || total > record->total))
		opened(period, open_ns);
	if (!period->open)
		return;
	record->passed += total - record->total;
	record->total = total;
	if (open) {
		if (!was_open)
			keep(period, directory);
		return;
	}
	period->open = false;
	record->end_ns = clock_realtime_ns();
	keep(period, directory);
	counter_add(counters, COUNTER_FAIL_OPEN_PERIODS, 1);
	counter_add(counters, COUNTER_FAIL_OPEN_PASSED, record->passed);
	log_warning("new connections to AI endpoints could pass unseen for %.1f s, and %" PRIu64
		    " did",
		(double)(record->end_ns - record->begin_ns) / 1e9, record->passed);
	accounting_unseen(accounting, record);
}
