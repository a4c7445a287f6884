// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The one process-wide state of the program: who is speaking, and how much. */
static struct {
	char title[32];
	enum log_level most;
	bool journal;
} speaker = {"sallyport", LOG_LEVEL_INFO, false};

/* Whether standard error is what systemd says the journal is (JOURNAL_STREAM, systemd.exec(5)): it
 * may have been redirected since. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *title, enum log_level most)
{
	snprintf(speaker.title, sizeof(speaker.title), "%s", title);
	speaker.most = most;
	speaker.journal = is_journal();
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int len, more;

	if (level > speaker.most)
		return;
	len = speaker.journal
		      ? snprintf(line, sizeof(line), "<%d>%s: ", (int)level, speaker.title)
		      : snprintf(line, sizeof(line), "%s: ", speaker.title);
	va_start(arguments, format);
	more = vsnprintf(line + len, sizeof(line) - (size_t)len, format, arguments);
	va_end(arguments);
	if (more < 0)
		return;
	len += more;
	if (len > (int)sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	line[len++] = '\n';
	/* One write per line: lines of several processes never mix. A lost line is no error. */
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

struct log_quoted log_quote(struct slice input)
{
	static const char digits[] = "0123456789abcdef";
	struct log_quoted quoted;
	size_t at = 0;

	for (size_t i = 0; i < input.len; i++) {
		unsigned char c = (unsigned char)input.data[i];

		if (at + 8 > sizeof(quoted.text)) {
			memcpy(quoted.text + at, "...", 3);
			at += 3;
			break;
		}
		if (c >= 0x20 && c < 0x7f && c != '\\') {
			quoted.text[at++] = (char)c;
			continue;
		}
		quoted.text[at++] = '\\';
		quoted.text[at++] = 'x';
		quoted.text[at++] = digits[c >> 4];
		quoted.text[at++] = digits[c & 15];
	}
	quoted.text[at] = '\0';
	return quoted;
}
